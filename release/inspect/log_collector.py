"""Collect the log lines of all hosts in order of time, and follow them over lost connections."""

import contextlib
import heapq
import itertools
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from packhorse.errors import PackhorseError
from release.agents import controller
from release.agents.connection import LAST, AgentProcess, Event, checked_answer
from release.deploy import outcome
from release.host.formats import log_line
from release.host.request import Logs

WAITING = 8
"""Events of one host that wait to be shown. Its agent waits then, too, and reads no more of its logs."""
TICK = 0.2
"""Seconds in which lines of several hosts are gathered, to be put into order, while they are followed."""
PATIENCE = 1.5
"""Seconds that a line without an end waits for the rest of it."""
LONGEST = 2**20
"""Characters of a line that are put together."""
MOST_BEGUN = 50
"""Lines of one host that are put together at a time."""
MANY = 1000
"""Lines that are shown at once, and after which there is nothing to wait for."""
PAUSES = (1.0, 2.0, 5.0)
"""Seconds before each try to reach a host again; the last one is repeated."""
SKEW = 5.0
"""Seconds by which the clock of a host may differ without a word about it."""
_TOO_MANY = "they were more than could be shown."


class Line(NamedTuple):
    """A line for people: `at` is "" when nobody knows its time, `release` None for circusd's own log."""

    at: str
    host: str
    process: str
    release: int | None
    pid: int | None
    text: str


class Remark(NamedTuple):
    """A remark on the lines of a host: some were skipped, or the connection was lost."""

    host: str
    text: str


class HostLogs:
    """The events of one host, which a thread of its own puts into a queue."""

    def __init__(self, name: str, agent: AgentProcess, request: Logs) -> None:
        self.name, self.agent, self.request = name, agent, request
        self.events: queue.Queue[Event | BaseException | None] = queue.Queue(WAITING)
        """Those of the agent; PackhorseError: it was lost; any other exception: a bug here; None: the end."""
        self.names: set[str] | None = None
        """The logs that it has; None: it has not answered yet."""
        self.error: PackhorseError | None = None
        self.over = False
        self.closed = threading.Event()
        self.notes: list[Remark] = []
        self._key = ""
        self._begun: dict[tuple[str, int | None], tuple[float, Line]] = {}

    def listen(self) -> None:
        """Put all events into the queue, and in any case a last one."""
        try:
            self._listen()
        except BaseException as bug:  # noqa: BLE001  # raised again, where somebody waits
            self.events.put(bug)
        self.events.put(None)

    def _listen(self) -> None:
        """Listen; connect again when the connection is lost while following."""
        over = self._attend(self.agent)  # which is closed by who started it
        tries = 0
        while self.request.follow and not over:
            if self.closed.wait(PAUSES[min(tries, len(PAUSES) - 1)]):
                return
            tries += 1
            with contextlib.suppress(PackhorseError), AgentProcess(self.agent.destination) as agent:
                if self.closed.is_set():
                    return
                self.agent, there = agent, self.names
                over = self._attend(agent)
                tries = 0 if self.names is not there else tries  # it has answered

    def _attend(self, agent: AgentProcess) -> bool:
        """Put the events of `agent` into the queue; returns whether it has come to its end."""
        try:
            for event in agent.events(self.request):
                self.events.put(event)
                if event.get("positions") is not None:
                    self.request = replace(self.request, resume=event["positions"])
                if event["event"] in LAST:
                    return True
        except PackhorseError as error:
            self.events.put(error)
        return False

    def pulse(self) -> None:
        """Send the agent a sign of life."""
        self.agent.pulse()

    def close(self) -> None:
        """Ask the agent to stop, and connect to none again."""
        self.closed.set()
        self.agent.close()

    def present(self) -> Iterator[tuple[str, Line]]:
        """Yield the lines that are there, each with its key; a host that cannot be reached has none."""
        while True:
            event = self.events.get()
            yield from self._take(event)
            if self.over or not isinstance(event, dict) or event["event"] == "caught up":
                break
        if not self.request.follow:
            yield from self.unfinished(time.monotonic())

    def new(self) -> Iterator[tuple[str, Line]]:
        """Yield what has come since."""
        with contextlib.suppress(queue.Empty):
            for _ in range(WAITING):
                if self.over:
                    break
                yield from self._take(self.events.get_nowait())
        yield from self.unfinished(time.monotonic() - PATIENCE)

    def unfinished(self, before: float) -> Iterator[tuple[str, Line]]:
        """Yield lines that have waited since `before` for the rest of them."""
        for key in [key for key, (since, _) in self._begun.items() if since <= before]:
            line = self._begun.pop(key)[1]
            yield self._key, line

    def _take(self, event: Event | BaseException | None) -> Iterator[tuple[str, Line]]:
        if event is None:
            self.over = True
        elif isinstance(event, PackhorseError):
            self._fail(event, "Trying again …")
        elif isinstance(event, BaseException):
            raise event
        else:
            try:
                with checked_answer():
                    yield from self._take_agents(event)
            except PackhorseError as error:
                self._fail(error, error.hint)
                self.over = True

    def _fail(self, error: PackhorseError, what_now: str) -> None:
        if self.request.follow and not self.error:
            self._note(f"{error.message} {what_now}")
        self.error = error

    def _take_agents(self, event: Event) -> Iterator[tuple[str, Line]]:
        match event["event"]:
            case "logs":
                if self.error:
                    self._note("connected again.")
                else:
                    self._compare_clocks(event["now"])
                self.names, self.error = set(event["names"]), None
            case "lines":
                for name, size in event.get("skipped", {}).items():
                    of = f" of {name}" if name and _source(name) else ""
                    self._note(f"{f'{size:d} bytes' if size else 'some lines'}{of} were skipped: {_TOO_MANY}")
                yield from self._joined(event["lines"])
            case "error":
                error = outcome.failure(event)
                self._fail(error, error.hint)

    def _joined(self, rows: list[tuple[str, str, int | None, bool, str]]) -> Iterator[tuple[str, Line]]:
        """Yield whole lines; the key of one that was written in pieces is the last one's."""
        for at, name, pid, goes_on, text in rows:
            process, release = _source(name)
            if not (at == "" or log_line.TIME.fullmatch(at)) or not isinstance(pid, int | None):
                raise ValueError((at, pid))
            self._key = max(self._key, at)  # a clock may be set back: the order in which they come stays
            begun = self._begun.pop((name, pid), None) if self._begun else None
            whole = begun[1].text + text if begun else text
            line = Line(begun[1].at if begun else at, self.name, process, release, pid, whole)
            if not goes_on or len(whole) >= LONGEST:
                yield self._key, line
                continue
            self._begun[name, pid] = time.monotonic(), line
            if len(self._begun) > MOST_BEGUN:
                yield self._key, self._begun.pop(next(iter(self._begun)))[1]

    def _compare_clocks(self, there: str) -> None:
        difference = datetime.fromisoformat(there).timestamp() - time.time()
        if abs(difference) > SKEW:
            which = "ahead of" if difference > 0 else "behind"
            self._note(
                f"its clock is {abs(difference):.0f} s {which} the one here; its lines have its times."
            )

    def _note(self, text: str) -> None:
        self.notes.append(Remark(self.name, text.replace("\n", " ")))


def _source(name: str) -> tuple[str, int | None]:
    """Parse a name like log_line.source. Raises ValueError: an agent sends no other names."""
    if not (found := log_line.source(name)):
        raise ValueError(name)
    return found


def collect(
    agents: Mapping[str, AgentProcess],
    request: Logs,
    show: Callable[[Sequence[Line]], None],
    tell: Callable[[Remark], None],
    *,
    named: bool,
) -> None:
    """Let `show` have the lines of all hosts in order of time, and `tell` what else happens.

    While they are followed, it ends with KeyboardInterrupt, or when no host is left. Raises PackhorseError
    when no host could be asked, or one of them without `request.follow`, with its name if hosts are `named`,
    or for a log that no host has.
    """
    hosts = [HostLogs(name, agent, request) for name, agent in agents.items()]
    for host in hosts:
        threading.Thread(target=host.listen, daemon=True).start()
    with controller.pulse({host.name: host for host in hosts}), contextlib.ExitStack() as stack:
        for host in hosts:  # all are closed before one is waited for
            stack.callback(host.close)
        _show_present(hosts, request.lines, show)
        _tell(hosts, tell)
        _require_answers(hosts, named=named, all_of_them=not request.follow)
        _require_known(hosts, request)
        while request.follow and not all(host.over for host in hosts):
            rows = sorted((row for host in hosts for row in host.new()), key=_key)
            _tell(hosts, tell)
            show([line for _, line in rows])
            time.sleep(TICK if len(rows) < MANY else 0)
        _require_answers(hosts, named=named, all_of_them=True)


def _key(row: tuple[str, Line]) -> str:
    return row[0]


def _show_present(
    hosts: Sequence[HostLogs], most: int | None, show: Callable[[Sequence[Line]], None]
) -> None:
    lines: Iterator[Line] = (line for _, line in heapq.merge(*(host.present() for host in hosts), key=_key))
    if most is not None:
        lines = iter(deque(lines, maxlen=most))
    while some := list(itertools.islice(lines, MANY)):
        show(some)


def _tell(hosts: Sequence[HostLogs], tell: Callable[[Remark], None]) -> None:
    for host in hosts:
        while host.notes:
            tell(host.notes.pop(0))


def _require_answers(hosts: Sequence[HostLogs], *, named: bool, all_of_them: bool) -> None:
    """Raise the error of the first host that has one, if all of them have to answer, or none does."""
    failed = [(host.name, host.error) for host in hosts if host.error]
    if failed and (all_of_them or len(failed) == len(hosts)):
        raise _named(*failed[0]) if named else failed[0][1]


def _named(name: str, error: PackhorseError) -> PackhorseError:
    named = PackhorseError(f"{name}: {error.message}", error.hint, detail=error.detail)
    named.exit_code = error.exit_code
    return named


def _require_known(hosts: Sequence[HostLogs], request: Logs) -> None:
    """Raise PackhorseError for a process type or a release of which no host has a log."""
    sources = {log_line.source(name) for host in hosts for name in host.names or ()} - {None}
    known = sorted({source[0] for source in sources if source})
    for process in request.processes:
        if process not in known:
            raise PackhorseError(
                f"No process {process} of {request.app} has written anything here.",
                f"There are logs of: {', '.join(known) or 'nothing yet'}",
            )
    numbers = sorted({source[1] for source in sources if source and source[1]})
    if request.release not in {None, *numbers}:
        raise PackhorseError(
            f"There are no logs of release {request.release} of {request.app}.",
            f"There are logs of the releases {', '.join(map(str, numbers)) or '(none yet)'}",
        )
