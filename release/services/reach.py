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

from packhorse import console
from packhorse.errors import PackhorseError
from release.agents import ssh
from release.config import root_login
from release.config.release_toml import ReleaseConfig

SERVICE = "/usr/local/sbin/packhorse-service"
BACKUP = "/usr/local/sbin/packhorse-service-backup"
COPIES = "/usr/local/sbin/packhorse-copies"
LARGEST_ANSWER = 2**26
"""Bytes: lists of thousands of backups are far from it."""
PATIENCE = 2.0
"""Seconds of silence of a host after which somebody who waits is told so."""
_LAST = 4096
_PROGRESS = "* "
_NO_PROGRAM = 127  # as sh(1) says it; no client of a database ends so


class NotProvisionedError(PackhorseError):
    """A host has no program of ours: `release provision` was not run for it."""


@dataclass(frozen=True)
class Host:
    """A host of release.toml, and who logs in there (None: whom ssh says).

    `target`: what `release provision` takes to prepare it.
    """

    name: str
    user: str | None = None
    target: str = "TARGET"

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
        with process, self._patience() as heard:
            assert process.stdin and process.stdout and process.stderr  # noqa: S101, PT018  # for mypy

            def shown(text: str) -> None:
                heard()
                show(text)

            reader = threading.Thread(target=_listen, args=[process.stderr, said, shown], daemon=True)
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

    def run_attached(self, program: str, *arguments: str, terminal: bool) -> int:
        """Run `program` there with our terminal, or our pipes; its exit status.

        Raises NotProvisionedError when there is none.
        """
        there = ["sh", "-c", f'[ -x "$0" ] || exit {_NO_PROGRAM}; exec "$0" "$@"', program, *arguments]
        command = ssh.as_root(self.name, self.user, there, terminal=terminal)
        with subprocess.Popen(command) as process:
            status = _end_of(process)
        if status == _NO_PROGRAM:
            raise self.not_provisioned(Path(program).name)
        return status

    def not_provisioned(self, program: str) -> NotProvisionedError:
        return NotProvisionedError(
            f"{self.name} has no {program}: nothing brought a service there.",
            f"Run: release provision {self.target}",
        )

    @contextlib.contextmanager
    def _patience(self) -> Iterator[Callable[[], None]]:
        """Say on stderr that we wait for the host when the block is long without a call of what it gets."""
        timer = threading.Timer(PATIENCE, console.echo, [f"  Waiting for {self.name}"], {"err": True})
        timer.daemon = True
        timer.start()
        try:
            yield timer.cancel
        finally:
            timer.cancel()

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
            failure = ssh.root_failure(self.name, self.user, said)
            return PackhorseError(f"{self.name}: {failure.message}", failure.hint)
        if status in {126, 127} or ("sudo:" in said and "command not found" in said):
            return self.not_provisioned(name)
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


def _end_of(process: "subprocess.Popen[bytes]") -> int:
    """Wait for the exit status of `process`, which has the terminal: Ctrl-C there is for it, not for us."""
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            return process.wait()


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


def host(config: ReleaseConfig, name: str, target: str | None = None) -> Host:
    """The host `name` of release.toml, with the login that `release provision` uses.

    `target`: the one that the command is about; None: the first one that needs the host.
    """
    return Host(name, root_login.of(config, name).user, target or next(_needing(config, name), "TARGET"))


def _needing(config: ReleaseConfig, name: str) -> Iterator[str]:
    """Targets with databases or copies of them on a host, then those that it is of, then services."""
    having = {
        service: [*declared.hosts, declared.backup.copy_to] for service, declared in config.services.items()
    }
    for target, settings in config.targets.items():
        if any(name in having[service] for service in settings.services):
            yield target
    yield from (target for target, settings in config.targets.items() if name in (settings.hosts or []))
    yield from (service for service, hosts in having.items() if name in hosts)
