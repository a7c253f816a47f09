"""Names of backups for completion in the shell: over a connection that is open already, else none."""

import contextlib
import json
from pathlib import Path

from packhorse import process
from packhorse.errors import PackhorseError
from release.agents import ssh
from release.config import release_toml
from release.services import answers, databases, reach

SECONDS = 1.0


def backups(project: Path, service: str | None, target: str | None) -> list[str]:
    """The backups of a database on its host, newest first."""
    with contextlib.suppress(PackhorseError, ValueError, FileNotFoundError):
        config = release_toml.load(project)
        place = databases.place(config, service or "", target or "")
        host = reach.host(config, place.host)
        if not ssh.is_connected(host.name, host.user, SECONDS):
            return []
        command = ssh.as_root(host.name, host.user, [reach.BACKUP, "list"])
        said = process.run(command, timeout=SECONDS, stdin=json.dumps({"app": config.app}) + "\n").stdout
        found = answers.read(answers.Databases, json.loads(said), host.name)
        return [
            each.name for one in found.databases if one.name == place.name for each in reversed(one.backups)
        ]
    return []
