"""Tell the balancers of a target which hosts to take out, and ask them what they think of all."""

import contextlib
import json
import os
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from packhorse.errors import PackhorseError
from release.agents import ssh

PROGRAM = "/usr/local/bin/packhorse-balancer"
PATIENCE = 12.0
"""Seconds for the answers: longer than ssh takes to find out that a balancer is off (ConnectTimeout)."""
HURRY = 5.0
"""Seconds for the answers during a deploy, which stands still for so long."""
LONGEST = 2**20
"""Bytes of an answer."""
LONGEST_FAILURE = 200
LONGEST_ERRORS = 8192
"""Bytes of what ssh says when it fails."""
UNREAD = 4
"""Answers to nobody's question, after which the connection ends."""

HostStates = dict[str, dict[str, Any]]


def led_to(app: str, target: str) -> str:
    """The name of a target's vhost on its balancers: no application's has a dot."""
    return f"{app}.{target}"


def parse(line: bytes, hosts: Sequence[str]) -> HostStates:
    """Host -> whether it is `out`, `held` by a deploy, and its `failure`, from what a balancer says.

    Raises PackhorseError for an error, and for what says not just that about all of `hosts`.
    """
    wrong = PackhorseError(
        f"it answers {line[:80]!r}.", "Look at what runs there: journalctl -u packhorse-balancer"
    )
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise wrong from None
    if isinstance(found, dict) and isinstance(error := found.get("error"), str):
        raise PackhorseError(f"{error[:LONGEST_FAILURE]}.", "Run: release provision")
    rows = found.get("hosts") if isinstance(found, dict) else None
    if not isinstance(rows, dict) or set(rows) != set(hosts):
        raise PackhorseError("it leads to other hosts than release.toml has.", "Run: release provision")
    for row in rows.values():
        kinds = {"out": bool, "held": bool, "failure": str}
        if not isinstance(row, dict) or any(type(row.get(key)) is not kind for key, kind in kinds.items()):
            raise wrong
    return {
        name: {
            **{key: rows[name][key] for key in ("out", "held")},
            "failure": rows[name]["failure"][:LONGEST_FAILURE],
        }
        for name in hosts
    }


class Balancer:
    """One balancer, asked through ssh as the user that deploys; it forgets us when the connection ends."""

    def __init__(self, destination: ssh.SshDestination, name: str, hosts: Sequence[str]) -> None:
        self.destination, self.name, self.hosts = destination, name, hosts
        self.errors = b""
        self.lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.lock = threading.Lock()
        self.process = subprocess.Popen(
            destination.to([PROGRAM, "talk"]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in a terminal hits only us
        )
        os.set_blocking(self._stdin.fileno(), False)  # it may read nothing
        self.readers = [
            threading.Thread(target=self._read, args=[self.process.stdout], daemon=True),
            threading.Thread(target=self._read_errors, args=[self.process.stderr], daemon=True),
        ]
        for reader in self.readers:
            reader.start()

    def _read(self, stdout: IO[bytes]) -> None:
        with stdout:
            for line in iter(lambda: stdout.readline(LONGEST), b""):
                if self.lines.qsize() >= UNREAD:
                    self.process.kill()
                    break
                self.lines.put(line)
        self.lines.put(b"")

    def _read_errors(self, stderr: IO[bytes]) -> None:
        with stderr:
            self.errors = stderr.read(LONGEST_ERRORS)
            if len(self.errors) == LONGEST_ERRORS:
                self.process.kill()

    def hold(self, held: Sequence[str]) -> None:
        """Ask it to have `held` out, and no other host that works."""
        self._write(json.dumps({"name": self.name, "hold": list(held)}).encode() + b"\n")

    def pulse(self) -> None:
        """Send a sign of life."""
        self._write(b"\n")

    def _write(self, data: bytes) -> None:
        with self.lock, contextlib.suppress(OSError, ValueError):  # it has ended: answer() says how
            try:
                self._stdin.write(data)
                self._stdin.flush()
            except BlockingIOError:
                self.process.kill()

    @property
    def _stdin(self) -> IO[bytes]:
        assert self.process.stdin  # noqa: S101  # for mypy: it is a pipe
        return self.process.stdin

    def answer(self, began: float, patience: float) -> HostStates:
        """Its answer to `hold`, within `patience` seconds since `began`. Raises PackhorseError."""
        deadline = began + patience
        try:
            line = self.lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise PackhorseError(
                f"no answer within {patience:g} s.", f"Try: ssh {self.destination.name} true"
            ) from None
        if line:
            return parse(line, self.hosts)
        try:
            status = self.process.wait(max(0.5, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:  # it has only closed its output
            self.process.kill()
            status = self.process.wait()
        self.readers[1].join(1.0)  # ssh of a connection that others share may keep the pipe open
        said = self.errors.decode(errors="replace").strip()
        if status in {1, 126, 127}:
            raise PackhorseError(
                said.rpartition("\n")[2] or f"there is no {PROGRAM}.", "Run: release provision"
            )
        raise self.destination.explain(status, said, greeted=False)

    def close(self) -> None:
        """End the connection: it has no host of ours out any more."""
        with self.lock, contextlib.suppress(OSError):
            self._stdin.close()
        try:
            self.process.wait(1.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for reader in self.readers:
            reader.join(1.0)


@dataclass
class Balancers:
    """All balancers of a target. One that does not answer is warned about by `warn` (its name, why), once."""

    members: dict[str, Balancer]
    warn: Callable[[str, str], object]
    held: Sequence[str] = ()

    def hold(self, hosts: Sequence[str]) -> None:
        """Have `hosts` out, and no other; all balancers are told at the same time, with one deadline."""
        if list(hosts) == list(self.held):
            return
        self.held, began = list(hosts), time.monotonic()
        for member in self.members.values():
            member.hold(hosts)
        for name, member in list(self.members.items()):
            try:
                member.answer(began, HURRY)
            except PackhorseError as error:
                member.process.kill()
                del self.members[name]
                self.warn(name, f"It takes no host out while that is switched: {error.message} {error.hint}")

    def pulse(self) -> None:
        """Send all a sign of life."""
        for member in list(self.members.values()):
            member.pulse()

    def ask(self) -> dict[str, HostStates | PackhorseError]:
        """The state of the hosts at each balancer, or the error with which it failed."""
        began = time.monotonic()
        for member in self.members.values():
            member.hold([])
        found: dict[str, HostStates | PackhorseError] = {}
        for name, member in self.members.items():
            try:
                found[name] = member.answer(began, PATIENCE)
            except PackhorseError as error:
                found[name] = error
        return found


@contextlib.contextmanager
def connected(
    destinations: Mapping[str, ssh.SshDestination],
    name: str,
    hosts: Sequence[str],
    warn: Callable[[str, str], object],
) -> Iterator[Balancers]:
    """The balancers at `destinations`, which lead to `hosts` under `name`, connected inside the block."""
    members: dict[str, Balancer] = {}
    try:
        for host, destination in destinations.items():
            members[host] = Balancer(destination, name, hosts)
        yield Balancers(dict(members), warn)
    finally:
        for member in members.values():
            member.close()
