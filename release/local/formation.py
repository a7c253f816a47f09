"""Choose the processes of a Procfile that run on the developer's machine, their numbers and ports."""

import difflib
import fcntl
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from packhorse import files
from packhorse.errors import PackhorseError
from release.host.formats import procfile
from release.host.runtime import launch

RELEASE_PHASE = "release"
MOST = 100
HOST = "127.0.0.1"


@dataclass(frozen=True)
class LocalProcess:
    """A process: its `name` (`web`, or `web.2` of several), `kind` (the process type), line and port.

    `listener`: the open socket on that port, for a `web` that opens none itself.
    """

    name: str
    kind: str
    line: str
    port: int = 0
    listener: socket.socket | None = None

    @property
    def takes_listener(self) -> bool:
        """Whether it gets an open socket as descriptor 3, as on servers; else it opens $PORT, if anything."""
        return self.kind == "web" and not launch.names_port(self.line)


def read(project: Path) -> dict[str, str]:
    """The Procfile of the project: process type -> command. Raises PackhorseError."""
    path = project / procfile.NAME
    try:
        return procfile.parse(path.read_bytes(), str(path))
    except FileNotFoundError:
        raise PackhorseError(
            f"{project}: there is no Procfile, which says how to run the application.",
            "Write one by: release new; or name the folder that has one: release -C DIR local",
        ) from None
    except OSError as error:
        raise PackhorseError(f"{path}: {error.strerror or error}.", "Look at this file.") from error


def choose(commands: Mapping[str, str], wanted: Sequence[str]) -> list[LocalProcess]:
    """The processes of `commands` to start, `web` first; the release phase is none of them.

    `wanted` is what the user names: TYPE=N changes a number; a TYPE alone leaves out all that are not named.
    Raises PackhorseError.
    """
    known = [kind for kind in commands if kind != RELEASE_PHASE]
    numbers: dict[str, int] = {}
    for word in wanted:
        kind, equals, number = word.partition("=")
        if kind not in known or kind in numbers or (equals and not re.fullmatch(r"[0-9]{1,3}", number)):
            raise _refused(word, kind, known, twice=kind in numbers)
        numbers[kind] = int(number or 1)
    only_named = any("=" not in word for word in wanted)
    all_numbers = {kind: numbers.get(kind, 0 if only_named else 1) for kind in known}
    if not 0 < sum(all_numbers.values()) <= MOST:
        raise PackhorseError(
            f"{' '.join(wanted)} starts {sum(all_numbers.values())} processes.", f"Start 1 to {MOST} of them."
        )
    return [
        LocalProcess(kind if number == 1 else f"{kind}.{position}", kind, commands[kind])
        for kind, number in sorted(all_numbers.items(), key=lambda item: item[0] != "web")
        for position in range(1, number + 1)
    ]


def release_phase(commands: Mapping[str, str]) -> LocalProcess:
    """The release phase of the Procfile as a process. Raises PackhorseError when there is none."""
    if RELEASE_PHASE not in commands:
        raise PackhorseError("The Procfile has no release phase.", "Add a line: release: …, or leave it out.")
    return LocalProcess(RELEASE_PHASE, RELEASE_PHASE, commands[RELEASE_PHASE])


def _refused(word: str, kind: str, known: Sequence[str], *, twice: bool) -> PackhorseError:
    if kind == RELEASE_PHASE:
        return PackhorseError(
            "release is the release phase, no process that goes on.",
            "Run it before the others start: release local --release-phase",
        )
    if kind in known:
        problem = "is there twice" if twice else f"is not {kind}=N, with a number from 0 to {MOST}"
        return PackhorseError(f"{word} {problem}.", f"Such as: release local {kind}=2")
    near = difflib.get_close_matches(kind, [*known, "run"], 1)
    return PackhorseError(
        f"{word}: the Procfile has no process type {kind}"
        + (f', did you mean "{near[0]}"?' if near else "."),
        f"It has {', '.join(known)}. A command: release local run CMD; to deploy: release deploy TARGET",
    )


@contextmanager
def with_ports(processes: Sequence[LocalProcess], first: int, home: Path) -> Iterator[list[LocalProcess]]:
    """Give each process a port of its own, from `first` on, that nobody else has; free again after the block.

    A lock below `home` keeps other commands of this user from it: a server opens its port only later.
    """
    with ExitStack() as stack:
        given, port = [], first
        for process in processes:
            taken = None
            while taken is None:
                if port > 65535:
                    raise PackhorseError("There is no free port.", "Begin earlier: --port 5000")
                taken = _take(port, home, stack, listen=process.takes_listener)
                port += 1
            listener = taken if process.takes_listener else None
            given.append(replace(process, port=port - 1, listener=listener))
        yield given


def _take(port: int, home: Path, stack: ExitStack, *, listen: bool) -> socket.socket | None:
    """A socket on `port`, open if it is to `listen`; None when the port is somebody else's."""
    path = home / "local-ports" / str(port)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = stack.enter_context(path.open("w"))
    except OSError as error:
        raise PackhorseError(
            f"{path} cannot be written: {error.strerror}.", "Name another folder: PACKHORSE_HOME"
        ) from error
    if not files.try_flock(lock.fileno(), fcntl.LOCK_EX):
        return None
    with suppress(OSError), socket.create_connection((HOST, port), timeout=0.2):
        return None  # on macOS, a port that is taken for all addresses is free for this one
    there = socket.socket()
    there.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of before may linger
    try:
        there.bind((HOST, port))
        there.listen(socket.SOMAXCONN)
    except OSError:
        there.close()
        return None
    if listen:
        stack.enter_context(there)
    else:
        there.close()
    return there


def again(processes: Sequence[LocalProcess], commands: Mapping[str, str]) -> list[LocalProcess]:
    """The `processes` with the lines that `commands` of a changed Procfile have, on their ports.

    Raises PackhorseError when one is gone, or wants another kind of port.
    """
    changed = [replace(process, line=commands.get(process.kind, "")) for process in processes]
    for process in changed:
        if not process.line or process.takes_listener != bool(process.listener):
            raise PackhorseError(
                f"the Procfile has {'another kind of port' if process.line else 'no process type'} "
                f"for {process.kind} now.",
                "Stop this, and start it again.",
            )
    return changed


def environment(process: LocalProcess, shared: Mapping[str, str]) -> dict[str, str]:
    """The variables of one process: the `shared` ones, and its port."""
    listening = {"LISTEN_FDS": "1", "LISTEN_FDNAMES": process.kind} if process.listener else {}
    port = {"PORT": str(process.port)} if process.port else {}
    return {**shared, **port, **listening}


def arguments(line: str) -> list[str]:
    """The argument list of a line of the Procfile, as servers run it."""
    return launch.arguments_of(line, Path(launch.__file__).parent)
