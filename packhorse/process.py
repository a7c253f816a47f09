"""Run programs from argument lists, never through a shell, and turn their failures into errors."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from packhorse.errors import PackhorseError

LAST_LINES = 20
"""How many lines of each stream of a failed program its error shows."""
TIMED_OUT = 124
"""The exit status of a program that was killed because it took too long, as timeout(1) has it."""


@dataclass(frozen=True)
class Finished:
    """A process that has ended: its exit status and what it printed, both streams decoded leniently."""

    status: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """Everything it printed."""
        return f"{self.stdout}{self.stderr}".strip()


class Runner(Protocol):
    """Runs a program to its end. Tests pass a fake of their own."""

    def __call__(
        self,
        command: Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Finished:
        """Run `command` with exactly `env` (None: our own environment) and no standard input."""


def run(
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> Finished:
    """Run `command` to its end; after `timeout` seconds it is killed, with status TIMED_OUT.

    Raises FileNotFoundError when there is no such program.
    """
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=None if env is None else dict(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired as late:
        return Finished(TIMED_OUT, "", f"{late}\n")
    return Finished(done.returncode, done.stdout, done.stderr)


def failure(done: Finished, message: str, hint: str) -> PackhorseError:
    """The error for a program that has failed, with the last lines of both of its streams.

    Of both: build backends write progress to one and the cause to the other, and not all the same way round.
    """
    streams = (done.stdout.rstrip().splitlines(), done.stderr.rstrip().splitlines())
    lines = [line for stream in streams for line in stream[-LAST_LINES:]]
    return PackhorseError(message, hint, detail="\n".join(lines))


# Settings of pip and uv about network and disk; any other could add a place to install from.
_INHERITED = {
    *("PIP_CERT", "PIP_CLIENT_CERT", "PIP_PROXY", "PIP_DEFAULT_TIMEOUT"),
    *("UV_CACHE_DIR", "UV_HTTP_TIMEOUT", "UV_NATIVE_TLS", "UV_SYSTEM_CERTS"),
}


def installer_environment(index_url: str, home: Path) -> dict[str, str]:
    """Our environment, with pip and uv tied to one index and to nothing else.

    Settings of the user or the machine that add places to install from (`extra-index-url`,
    `find-links`) are left out: a second place is how dependency confusion happens (pip #8606).
    Settings of the network (proxies, certificates, time limits) stay.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PIP_", "UV_")) or name in _INHERITED
    }
    return {
        "UV_CACHE_DIR": str(home / "cache" / "uv"),
        **inherited,
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_INDEX_URL": index_url,
        "PIP_NO_INPUT": "1",
        "UV_DEFAULT_INDEX": index_url,
        "UV_NO_CONFIG": "1",
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
    }
