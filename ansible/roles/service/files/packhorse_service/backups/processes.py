"""Run programs as another user, with secrets in their environment, and turn their failures into errors."""

import contextlib
import os
import pwd
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from packhorse_service.errors import ServiceError

OWN_USER = "packhorse-backup"
"""A user of the system that owns nothing: what reads a dump, or what an application stored, runs as it."""

LONGEST = 24 * 3600.0
"""Seconds that one program may take: to read or write a whole database, for one."""
LAST_BYTES = 2000
CHUNK = 2**20
Bytes = IO[bytes]


class BackupError(ServiceError):
    """An expected error of a backup or a restore."""

    def __init__(self, message: str, hint: str = "Correct it, and run the command again.") -> None:
        super().__init__(message, hint)


def start(  # noqa: PLR0913  # as Popen
    command: Sequence[str],
    *,
    user: str = OWN_USER,
    secrets: Mapping[str, str] | None = None,
    stdin: int | IO[bytes] | None = subprocess.DEVNULL,
    stdout: int | IO[bytes] | None = subprocess.PIPE,
    stderr: int | IO[bytes] | None = subprocess.PIPE,
) -> "subprocess.Popen[bytes]":
    """Start `command` as `user`, in a folder that all may enter; a stream that is None is ours."""
    entry = pwd.getpwnam(user)
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LANG": "C.UTF-8", "HOME": "/"}
    return subprocess.Popen(
        command,
        user=entry.pw_uid,
        group=entry.pw_gid,
        extra_groups=[],
        cwd="/",
        env={**environment, **(secrets or {})},
        umask=0o077,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
    )


@contextlib.contextmanager
def in_time(
    process: "subprocess.Popen[bytes]", command: Sequence[str], seconds: float | None = None
) -> Iterator[None]:
    """Kill `process` when the block takes too long. Raises BackupError then."""
    late, limit = threading.Event(), seconds or LONGEST

    def end() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(limit, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if late.is_set():
            name = Path(command[0]).name
            raise BackupError(f"{name} did not end within {limit:.0f} s.", "Look at the host.")


def run(
    command: Sequence[str],
    text: bytes | IO[bytes] = b"",
    *,
    user: str = OWN_USER,
    secrets: Mapping[str, str] | None = None,
) -> str:
    """Run `command` with the input `text` to its end, and return what it printed. Raises BackupError."""
    given = text if not isinstance(text, bytes) else subprocess.PIPE
    with start(command, user=user, secrets=secrets, stdin=given) as process, in_time(process, command):
        out, errors = process.communicate(text if isinstance(text, bytes) else None)
    require(process.returncode, command, errors)
    return out.decode("utf-8", "replace")


def pump(
    command: Sequence[str],
    write: Callable[[bytes], object],
    *,
    user: str = OWN_USER,
    secrets: Mapping[str, str] | None = None,
) -> None:
    """Run `command`, and give all that it prints to `write`. Raises BackupError, and what `write` does."""
    with (
        os.fdopen(os.memfd_create("stderr"), "w+b") as errors,
        start(command, user=user, secrets=secrets, stderr=errors) as process,
        in_time(process, command),
    ):
        try:
            assert process.stdout  # noqa: S101  # for mypy: it is a pipe
            while data := process.stdout.read(CHUNK):
                write(data)
        except BaseException:
            process.kill()
            raise
        status = process.wait()
        errors.seek(max(0, errors.seek(0, os.SEEK_END) - LAST_BYTES))
        require(status, command, errors.read())


def require(status: int, command: Sequence[str], errors: bytes) -> None:
    """Raise BackupError unless `command` has ended with 0."""
    if status:
        lines = errors[-LAST_BYTES:].decode("utf-8", "replace").strip().splitlines()
        said = "; ".join(line.strip() for line in lines[-4:]) or f"status {status}"
        name = Path(command[0]).name
        raise BackupError(f"{name} failed: {said}", "Look at the service there, and run the command again.")
