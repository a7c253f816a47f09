"""Bring backups to another host, whose account for us may add files and nothing else."""

import json
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from packhorse_service import state
from packhorse_service.backups.processes import CHUNK, BackupError, in_time
from packhorse_service.backups.store import Backup, Store
from packhorse_service.state import Database

FOLDER = Path("/etc/packhorse/backups")
"""APP_SERVICE and APP_SERVICE.known_hosts: the key that brings copies of its databases, and who gets them."""
LONGEST_PUSH = 6 * 3600.0
"""Seconds for one copy: a host that takes it and never answers would hold up the timer's next runs."""
USER = "packhorse-copies"
"""The user on the other host; sshd runs packhorse-copies there, whatever is asked for."""


@dataclass(frozen=True)
class CopyHost:
    """A host that gets copies: its name in release.toml, its address, the name of our key for it."""

    name: str
    address: str
    key: str


def send(backup: Backup, source: IO[bytes], to: IO[bytes]) -> None:
    """Write a backup to `to`: a line of JSON, then its bytes."""
    to.write(json.dumps(asdict(backup)).encode() + b"\n")
    while data := source.read(CHUNK):
        to.write(data)
    to.flush()


def command(to: CopyHost) -> list[str]:
    """The argument list of ssh; keys and known hosts are those that Ansible has brought."""
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": "10",
        "ServerAliveInterval": "10",
        "ServerAliveCountMax": "3",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": str(FOLDER / f"{to.key}.known_hosts"),
        "GlobalKnownHostsFile": "/dev/null",
        "HostKeyAlias": to.name,
        "IdentityFile": str(FOLDER / to.key),
        "IdentitiesOnly": "yes",
        "LogLevel": "ERROR",
    }
    parts = [part for key, value in options.items() for part in ("-o", f"{key}={value}")]
    return ["ssh", "-F", "/dev/null", "-T", *parts, "-l", USER, "--", to.address, "receive"]


def host(database: Database) -> CopyHost | None:
    """The host that gets copies, as `release provision` has written it; None: no host."""
    backup = database.backup
    if not backup.get("copy_to"):
        return None
    return CopyHost(backup["copy_to"], backup["copy_address"], key(database.name))


def key(name: str) -> str:
    """The name of the key for copies of database `name`: all targets of an application share it."""
    app, _, service = name.split("_")
    return f"{app}_{service}"


def forget_key(name: str) -> None:
    """Remove the key that brings copies of database `name`, unless another target uses it on this host."""
    if not any(key(each) == key(name) for each in state.names() if each != name):
        for end in ("", ".pub", ".known_hosts"):
            (FOLDER / f"{key(name)}{end}").unlink(missing_ok=True)


def push_new(store: Store, to: CopyHost | None) -> list[str]:
    """Copy the backups that are not there yet, and return their names. Raises BackupError."""
    if not to:
        return []
    done = []
    for backup in store.all():
        if not store.is_copied(backup):
            with store.path(backup).open("rb") as file:
                _push(backup, file, to)
            store.mark_copied(backup)
            done.append(backup.name)
    return done


def _push(backup: Backup, file: IO[bytes], to: CopyHost) -> None:
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            command(to), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
        ) as process,
        in_time(process, ["ssh"], LONGEST_PUSH),
    ):
        assert process.stdin  # noqa: S101  # for mypy: they are pipes
        assert process.stdout  # noqa: S101
        try:
            send(backup, file, process.stdin)
            process.stdin.close()
        except BrokenPipeError:
            pass  # what it says, says why
        answer = process.stdout.read(4096)
        status = process.wait()
        errors.seek(0)
        said = errors.read(2000).decode("utf-8", "replace").strip()
    if status or answer.strip() != b"kept":
        raise BackupError(
            f"The copy of {backup.name} to {to.name} failed: {said or f'status {status}'}.",
            "The backup itself is here; the next run copies it. Look at that host, and: release provision",
        )
