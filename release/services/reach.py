"""Reach the hosts of services as root through ssh, and let programs there answer with JSON."""

import contextlib
import json
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from packhorse.errors import PackhorseError
from release.config import root_login
from release.config.release_toml import ReleaseConfig
from release.deploy import ssh

SERVICE = "/usr/local/sbin/packhorse-service"
BACKUP = "/usr/local/sbin/packhorse-service-backup"
COPIES = "/usr/local/sbin/packhorse-copies"
LARGEST_ANSWER = 2**26
"""Bytes: lists of thousands of backups are far from it."""
_LAST = 4096
_PROGRESS = "* "


@dataclass(frozen=True)
class Host:
    """A host of release.toml, and who logs in there (None: whom ssh says)."""

    name: str
    user: str | None = None
    app: str = ""

    def ask(
        self,
        program: str,
        command: str,
        request: Mapping[str, Any] | None = None,
        show: Callable[[str], None] = lambda _text: None,
    ) -> dict[str, Any]:
        """The answer of `program` there to a command; `show` gets what it says meanwhile.

        Raises PackhorseError: that which the program answers, or for one that is not reached.
        """
        line = json.dumps(request or {}).encode() + b"\n"
        return self.converse([program, command], lambda stdin: _write(stdin, line), show)

    def converse(
        self,
        there: list[str],
        feed: Callable[[IO[bytes]], None] = lambda stdin: stdin.close(),
        show: Callable[[str], None] = lambda _text: None,
    ) -> dict[str, Any]:
        """The JSON that the command `there` answers, while `feed` writes to its standard input."""
        try:
            process = subprocess.Popen(
                ssh.as_root(self.name, self.user, there),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except FileNotFoundError as error:
            raise PackhorseError("There is no program ssh.", "Install OpenSSH's client.") from error
        said: list[bytes] = []
        with process:
            assert process.stdin and process.stdout and process.stderr  # noqa: S101, PT018  # for mypy
            reader = threading.Thread(target=_listen, args=[process.stderr, said, show], daemon=True)
            reader.start()
            with _ended(process):
                with contextlib.suppress(BrokenPipeError):  # the other side says itself why it has gone
                    feed(process.stdin)
                answer = process.stdout.read(LARGEST_ANSWER)
            if len(answer) == LARGEST_ANSWER:
                process.kill()
            status = process.wait()
            reader.join(5)
        return self._answer(there[0], status, answer, b"".join(said).decode("utf-8", "replace").strip())

    def fetch(self, there: list[str], line: bytes, to: IO[bytes]) -> None:
        """Copy what the command `there` writes for a request, a `line`, to `to`. Raises PackhorseError."""
        with (
            tempfile.TemporaryFile() as errors,
            subprocess.Popen(
                ssh.as_root(self.name, self.user, there),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            ) as process,
        ):
            assert process.stdin and process.stdout  # noqa: S101, PT018  # for mypy
            _write(process.stdin, line)
            with _ended(process):
                shutil.copyfileobj(process.stdout, to, 2**20)
            status = process.wait()
            errors.seek(0)
            said = errors.read(_LAST).decode("utf-8", "replace").strip()
        if status:
            self._answer(there[0], status, b"", said)

    def attached(self, there: list[str], *, terminal: bool) -> list[str]:
        """The argument list of ssh for a command there that has our terminal, or our pipes."""
        return ssh.as_root(self.name, self.user, there, terminal=terminal)

    def _answer(self, program: str, status: int, answer: bytes, said: str) -> dict[str, Any]:
        found: object = None
        if answer:
            try:
                found = json.loads(answer)
            except (ValueError, RecursionError):
                found = None
        if isinstance(found, dict):
            if isinstance(found.get("error"), str):
                hint = found.get("hint")
                raise PackhorseError(
                    f"{self.name}: {found['error'][:2000]}",
                    hint[:2000] if isinstance(hint, str) and hint else "Look at that host.",
                )
            if status == 0:
                return found
        raise self._explain(program, status, said)

    def _explain(self, program: str, status: int, said: str) -> PackhorseError:
        name, last = Path(program).name, said.rpartition("\n")[2][:500]
        if status == 255:
            there = ssh.SshDestination(self.name, self.user or "you", self.app)
            failure = there.explain(status, said, greeted=False)
            return PackhorseError(f"{self.name}: {failure.message}", failure.hint)
        if "command not found" in said or "No such file" in said or status in {126, 127}:
            return PackhorseError(
                f"{self.name} has no {name}: nothing brought a service there.",
                "Run: release provision TARGET",
            )
        if "sudo:" in said:
            return PackhorseError(
                f"{self.name}: {self.user or 'who logs in'} may not become root without a password: {last}",
                'Say who may: user = "…" in [services.NAME] of release.toml, or NOPASSWD in sudoers.',
            )
        if status == 0:
            return PackhorseError(
                f"{self.name}: something else than {name} answers.",
                "Let the login shell there print nothing on its own, and look at what runs there.",
            )
        return PackhorseError(
            f"{self.name}: {name} failed (status {status}): {last or 'it gives no reason'}",
            "Look at that host; then run the command again: nothing is left half done.",
        )


@contextlib.contextmanager
def _ended(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Kill `process` when the block is left by an error or Ctrl-C, which would wait for its end else."""
    with contextlib.ExitStack() as stack:
        stack.callback(process.kill)
        yield
        stack.pop_all()


def _write(stdin: IO[bytes], data: bytes) -> None:
    """Write `data` and the end; the other side says itself why it has gone."""
    with contextlib.suppress(BrokenPipeError), stdin:
        stdin.write(data)


def _listen(stderr: IO[bytes], said: list[bytes], show: Callable[[str], None]) -> None:
    """Show lines of progress, keep the end of all others."""
    while line := stderr.readline(_LAST):
        text = line.decode("utf-8", "replace").rstrip("\n")
        if text.startswith(_PROGRESS):
            show(text.removeprefix(_PROGRESS))
        else:
            said.append(line)
            del said[:-20]


def host(config: ReleaseConfig, name: str) -> Host:
    """The host `name` of release.toml, with the login that `release provision` uses."""
    return Host(name, root_login.of(config, name).user, config.app)
