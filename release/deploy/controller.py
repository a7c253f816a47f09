"""Control deploys and rollbacks on all hosts of a target: pass events to the scheduler, send its orders."""

import contextlib
import queue
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import FrameType

from packhorse.errors import PackhorseError
from release.deploy import schedule
from release.deploy.connection import Connection, Event
from release.host.request import Request

PULSE = 5.0
SILENCE = 30.0
"""Seconds without a word from us after which an agent takes us for dead: a cut cable says nothing."""


@dataclass(frozen=True)
class Outcome:
    """Final states of all hosts, in their order; `stopped` is the reason if all had to stop."""

    hosts: tuple[schedule.HostState, ...]
    stopped: str | None


def run(
    conversations: Mapping[str, Connection],
    requests: Mapping[str, Request],
    show: Callable[[str, Event], None],
    batch: int | None = None,
) -> Outcome:
    """Let every host carry out its request, all at the same time, and wait until each has ended.

    `show` gets what they say, with the host's name ("" for our own stop). With `batch`, agents wait at gates,
    and what becomes of one becomes of all (see turns.due); without, each is on its own. Ctrl-C and SIGTERM
    make all stop at the next safe point; a second one raises KeyboardInterrupt.
    """
    heard: queue.SimpleQueue[tuple[str, Event | BaseException]] = queue.SimpleQueue()
    hosts = {name: schedule.HostState(name) for name in conversations}
    stopped: str | None = None
    for name, conversation in conversations.items():
        arguments = (name, conversation, requests[name], heard)
        threading.Thread(target=_listen, args=arguments, daemon=True).start()
    with _signals(lambda reason: heard.put(("", {"event": "stop", "reason": reason}))), _pulse(conversations):
        while any(host.at is not schedule.Stage.ENDED for host in hosts.values()):
            name, event = heard.get()
            if isinstance(event, BaseException):
                raise event
            show(name, event)
            if name:
                hosts[name] = schedule.after_event(hosts[name], event)
            else:
                stopped = event["reason"]
            for name, order in _due(tuple(hosts.values()), batch, stopped).items():
                hosts[name] = schedule.after_order(hosts[name], order)
                _send(conversations[name], order)
    return Outcome(tuple(hosts.values()), stopped)


def _due(
    hosts: tuple[schedule.HostState, ...], batch: int | None, stopped: str | None
) -> dict[str, schedule.Event]:
    if batch is not None:
        return schedule.due_orders(hosts, batch, stopped)
    return schedule.stop_orders(hosts) if stopped else {}


def _send(conversation: Connection, order: schedule.Event) -> None:
    if order == schedule.CLOSE:
        conversation.close()
    else:
        conversation.send(order)


def _listen(
    name: str,
    conversation: Connection,
    request: Request,
    heard: "queue.SimpleQueue[tuple[str, Event | BaseException]]",
) -> None:
    """Put what one host says into `heard`; its last event in any case, or the exception that is a bug."""
    try:
        for event in conversation.events(request):
            heard.put((name, event))
    except PackhorseError as error:
        told = {key: getattr(error, key) for key in ("message", "hint", "detail", "exit_code")}
        heard.put((name, {"event": "error", **told}))
    except BaseException as bug:  # noqa: BLE001  # raised again, where somebody waits
        heard.put((name, bug))


@contextlib.contextmanager
def _pulse(conversations: Mapping[str, Connection]) -> Iterator[None]:
    """Tell every agent regularly that we are there."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(PULSE):
            for conversation in conversations.values():
                conversation.pulse()

    threading.Thread(target=beat, daemon=True).start()
    try:
        yield
    finally:
        over.set()


@contextlib.contextmanager
def _signals(stop: Callable[[str], object]) -> Iterator[None]:
    """Call `stop` with a reason on the first Ctrl-C or SIGTERM; raise KeyboardInterrupt on the second."""
    asked = False

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        stop("Ctrl-C" if number == signal.SIGINT else "SIGTERM")

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
