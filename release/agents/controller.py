"""Control deploys and rollbacks on all hosts of a target: pass events to the scheduler, send its orders."""

import contextlib
import queue
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Protocol

from packhorse.errors import PackhorseError
from release.agents import schedule
from release.agents.connection import Connection, Event
from release.host.request import Request

PULSE = 5.0
SILENCE = 30.0
"""Seconds without a word from us after which an agent takes us for dead: a cut cable says nothing."""
PREPARED = "prepared"
LOOK = 0.5
"""Seconds after which a signal has its effect in any case."""

Events = queue.SimpleQueue[tuple[str, Event | BaseException]] | queue.Queue[tuple[str, Event | BaseException]]
"""Events of all hosts, each with the host's name."""


class Alive(Protocol):
    """Connection to an agent that expects signs of life."""

    def pulse(self) -> None:
        """Send a sign of life."""


class Balancers(Protocol):
    """The balancers in front of the hosts."""

    def hold(self, hosts: Sequence[str]) -> None:
        """Have exactly these hosts out, as far as enough others are left; return when it is so."""

    def pulse(self) -> None:
        """Send a sign of life."""


class Preparation(Protocol):
    """Work to be done here when all hosts could start, before the first one does."""

    def run(self, say: Callable[[str, str], None]) -> None:
        """Do it, and `say` the name of a step and a sentence about it. Raises PackhorseError."""

    def stop(self) -> None:
        """Let `run` end soon."""


@dataclass(frozen=True)
class Outcome:
    """Final states of all hosts, in their order; `stopped` is the reason if all had to stop."""

    hosts: tuple[schedule.HostState, ...]
    stopped: str | None

    @property
    def results(self) -> dict[str, Event]:
        """Host -> the result that it answered with; without those that have failed."""
        return {
            host.name: dict(host.last) for host in self.hosts if host.last and host.last["event"] == "result"
        }


def run(  # noqa: PLR0913  # all that a rollout is made of
    connections: Mapping[str, Connection],
    requests: Mapping[str, Request],
    show: Callable[[str, Event], None],
    batch: int | None = None,
    balancers: Balancers | None = None,
    *,
    preparation: Preparation | None = None,
) -> Outcome:
    """Let every host carry out its request, all at the same time, and wait until each has ended.

    `show` gets their events, with the host's name ("" for our own stop). With `batch`, agents wait at gates,
    and what becomes of one becomes of all (see schedule.due_orders); without, each is on its own. `balancers`
    have out who switches; no host starts before `preparation` is done, whose error is raised when all have
    ended. Ctrl-C and SIGTERM make all stop at the next safe point, and first let `preparation` end; a second
    one raises KeyboardInterrupt.
    """
    events: Events = queue.SimpleQueue()
    hosts = {name: schedule.HostState(name) for name in connections}
    stopped: str | None = None
    prepared = _Prepared(preparation, list(connections), events)
    needs_all = any(request.gates != schedule.LOCK_GATES for request in requests.values())
    _listen_to_all(connections, requests, events)
    alive: dict[str, Alive] = {**connections, **({"": balancers} if balancers else {})}
    signals = _signals(lambda reason: events.put(("", {"event": "stop", "reason": reason})))
    with signals, pulse(alive), contextlib.closing(prepared):
        while prepared.running or any(host.stage is not schedule.Stage.ENDED for host in hosts.values()):
            name, event = next_event(events)
            if isinstance(event, BaseException):
                raise event
            if event["event"] == PREPARED:
                prepared.running = False
            else:
                show(name, event)
            if name:
                hosts[name] = schedule.after_event(hosts[name], event)
            else:
                stopped = stopped or event.get("reason")
            orders = schedule.due_orders(tuple(hosts.values()), batch, stopped, needs_all=needs_all)
            orders = prepared.allowed(orders)
            hosts |= {name: schedule.after_order(hosts[name], order) for name, order in orders.items()}
            if balancers:
                balancers.hold(schedule.switching(hosts.values()))
            for name, order in orders.items():
                _send(connections[name], order)
    if prepared.error and not prepared.stopped:
        raise prepared.error
    return Outcome(tuple(hosts.values()), stopped)


class _Prepared:
    """Runs the `preparation` when the first order to start is due, and holds back all orders meanwhile.

    So hosts keep their locks until it has ended, also when one of them fails: then it ends soon.
    """

    def __init__(self, preparation: Preparation | None, hosts: Sequence[str], events: "Events") -> None:
        self.preparation, self.hosts, self.events = preparation, hosts, events
        self.began = self.running = self.stopped = False
        self.error: PackhorseError | None = None

    def allowed(self, orders: dict[str, schedule.Event]) -> dict[str, schedule.Event]:
        """Select the due `orders` that may be sent now."""
        starts = any(order.get("go") == "start" for order in orders.values())
        if not starts:
            self.close()
        elif self.preparation and not self.began:
            self.began = self.running = True
            threading.Thread(target=self._run, daemon=True).start()
        return {} if self.running else orders

    def close(self) -> None:
        """Let the preparation end soon, if it runs."""
        if self.preparation and self.running:
            self.stopped = True
            self.preparation.stop()

    def _run(self) -> None:
        try:
            if self.preparation:
                self.preparation.run(self._say)
        except PackhorseError as error:
            self.error = error
            self.events.put(("", {"event": PREPARED, "reason": error.message}))
        except BaseException as bug:  # noqa: BLE001  # raised again, where somebody waits
            self.events.put(("", bug))
        else:
            self.events.put(("", {"event": PREPARED}))

    def _say(self, name: str, text: str) -> None:
        for host in self.hosts:
            self.events.put((host, {"event": "step", "name": name, "text": text}))


def next_event(events: Events) -> tuple[str, Event | BaseException]:
    """Wait for the next event, and look for signals now and then.

    One that comes at the moment at which a lock begins to wait does not wake it up: Python would call its
    handler at the next event, which may be minutes away.
    """
    while True:
        with contextlib.suppress(queue.Empty):
            return events.get(timeout=LOOK)


def _send(connection: Connection, order: schedule.Event) -> None:
    if order == schedule.CLOSE:
        connection.close()
    else:
        connection.send(order)


def _listen_to_all(
    connections: Mapping[str, Connection], requests: Mapping[str, Request], events: "Events"
) -> None:
    """Start a thread for each host that sends its request and listens."""
    for name, connection in connections.items():
        arguments = (name, connection, requests[name], events)
        threading.Thread(target=listen, args=arguments, daemon=True).start()


def listen(
    name: str,
    connection: Connection,
    request: Request,
    events: "Events",
) -> None:
    """Put the events of one host into `events`; its last one in any case, or the exception that is a bug."""
    try:
        for event in connection.events(request):
            events.put((name, event))
    except PackhorseError as error:
        fields = {key: getattr(error, key) for key in ("message", "hint", "detail", "exit_code")}
        events.put((name, {"event": "error", **fields}))
    except BaseException as bug:  # noqa: BLE001  # raised again, where somebody waits
        events.put((name, bug))


@contextlib.contextmanager
def pulse(connections: Mapping[str, Alive]) -> Iterator[None]:
    """Send every agent a sign of life regularly."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(PULSE):
            for connection in connections.values():
                connection.pulse()

    threading.Thread(target=beat, daemon=True).start()
    try:
        yield
    finally:
        over.set()


@contextlib.contextmanager
def _signals(stop: Callable[[str], object]) -> Iterator[None]:
    """Call `stop` with a reason on the first Ctrl-C or SIGTERM; raise KeyboardInterrupt on the second."""
    stopping = False

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        if stopping:
            raise KeyboardInterrupt
        stopping = True
        stop("Ctrl-C" if number == signal.SIGINT else "SIGTERM")

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
