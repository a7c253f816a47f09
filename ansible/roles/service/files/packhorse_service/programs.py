"""Run programs of the host: from lists, secrets on standard input, as another user where that is enough."""

import os
import pwd
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from packhorse_service.errors import ServiceError

TIMEOUT = 60.0
# Programs get this environment alone: nothing of who called decides what they do.
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root"}


def run(
    command: Sequence[str],
    *,
    text: str = "",
    user: str | None = None,
    more: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT,
) -> str:
    """Run `command` with the input `text`, and return its output; as `user` with their groups, None: as root.

    `more`: environment. Raises ServiceError when it fails, with the end of what it said.
    """
    try:
        done: subprocess.CompletedProcess[str] = subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            env={**ENVIRONMENT, **({"HOME": "/nonexistent"} if user else {}), **(more or {})},
            cwd="/",
            timeout=timeout,
            check=False,
            **_identity(user),
        )
    except FileNotFoundError:
        raise ServiceError(f"There is no {command[0]} on this host.", "Run: release provision") from None
    except subprocess.TimeoutExpired:
        raise ServiceError(f"{command[0]} did not end within {timeout:.0f} s.", "Look at the host.") from None
    if done.returncode:
        said = " ".join((done.stderr.strip() or done.stdout.strip() or "no reason").splitlines()[-3:])[-500:]
        said = said.encode(errors="replace").decode()
        raise ServiceError(f"{command[0]} failed (status {done.returncode}): {said}", "Look at the host.")
    return done.stdout


def _identity(user: str | None) -> Mapping[str, Any]:
    """The arguments of subprocess for `user`, with the groups that /etc/group gives it."""
    if user is None:
        return {}
    entry = pwd.getpwnam(user)
    groups = os.getgrouplist(user, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": groups}
