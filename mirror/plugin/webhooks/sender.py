"""Tell webhooks about events of the audit log: each has a spool and a thread, and delays nobody."""

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from cachetools import TTLCache
from devpi_server.log import threadlog

from mirror.plugin.metrics import counters
from mirror.plugin.webhooks import delivery
from mirror.plugin.webhooks.delivery import Webhook
from mirror.plugin.webhooks.spool import DamagedError, FullError, Message, Spool

FIRST, LONGEST = 5.0, 3600.0  # seconds until the next try; doubled each time
GIVE_UP = 30  # tries of one message: about a day
MOST, MOST_BLOCKED = 1000, 100  # messages of one webhook that wait
BY_ANYBODY = ("blocked", "reported")  # who asks for enough files makes as many of these as they like
BLOCKED_AGAIN = 24 * 3600  # seconds until the same blocked file is told again

Event = Mapping[str, Any]
Post = Callable[[Webhook, Message], str]  # "" or why it is not delivered


def kind(event: Event) -> str | None:
    """Name of what a webhook may hear of an event of the audit log, None for others."""
    match event["action"], event["result"]:
        case "upload", "ok":
            return "upload"
        case "push", "ok":
            return "promotion"
        case "download", "denied":
            return "blocked"
        case "list", "reported":
            return "reported"
    return None


def body(event: Event, name: str) -> str:
    """The JSON of a message: type, timestamp and data, as Standard Webhooks proposes."""
    data = {key: value for key, value in event.items() if key not in {"time", "action", "result"}}
    return json.dumps({"type": name, "timestamp": event["time"], "data": data})


@dataclass
class State:
    """The outcome of a webhook's last delivery."""

    problem: str = ""
    delivered: int = 0
    dropped: int = 0


class Sender:
    """The spools and the thread of one webhook.

    Whoever asks for denied files makes as many messages as they like: these wait apart, and go last.
    """

    def __init__(self, webhook: Webhook, folder: Path, post: Post) -> None:
        self.webhook = webhook
        self._spool = Spool(folder / webhook.name, MOST)
        self._blocked = Spool(folder / f"{webhook.name}-blocked", MOST_BLOCKED)
        self.state = State()
        self._post = post
        self._new = threading.Event()
        self._urgent = threading.Event()  # a message came that waits for none that is BY_ANYBODY
        self._tried = self._spool

    def start(self) -> None:
        """Begin to deliver."""
        threading.Thread(target=self._run, name="webhook", daemon=True).start()

    @property
    def waiting(self) -> int:
        """Number of messages that wait."""
        return len(self._spool) + len(self._blocked)

    def add(self, text: str, name: str) -> None:
        """Keep a message of this kind for its delivery; without room for it, count that."""
        try:
            (self._blocked if name in BY_ANYBODY else self._spool).add(text)
        except (FullError, OSError) as error:
            reason = "too many wait" if isinstance(error, FullError) else error.strerror
            self._drop(f"gets no more messages about {name} for now: {reason}")
        if name not in BY_ANYBODY:
            self._urgent.set()
        self._new.set()

    def step(self) -> float:
        """Try the next message; seconds to wait until the next step, 0 for none."""
        self._urgent.clear()
        spool = self._tried = self._spool if len(self._spool) else self._blocked
        try:
            message = spool.first()
        except DamagedError as error:
            spool.remove_first()
            self._drop(f"does not get a message that cannot be read: {error}")
            return 0.0
        if message is None:
            self._new.wait()
            self._new.clear()
            return 0.0
        problem = self._post(self.webhook, message)
        if not problem:
            spool.remove_first()
            self.state.delivered += 1
            self.state.problem = ""
            counters.WEBHOOKS.labels("delivered").inc()
            return 0.0
        if not delivery.may_pass(problem) or message.attempts + 1 >= GIVE_UP:
            spool.remove_first()
            self._drop(problem)
            return 0.0
        self._note(problem)
        spool.count_attempt(message)
        counters.WEBHOOKS.labels("failed").inc()
        return float(min(LONGEST, FIRST * 2**message.attempts))

    def _run(self) -> None:
        while True:
            try:
                seconds = self.step()
            except Exception as error:  # noqa: BLE001 (a full disk, perhaps: this must not end the thread)
                self._note(f"fails: {error!r}")
                seconds = FIRST
            self._pause(seconds)

    def _pause(self, seconds: float) -> None:
        """Wait so long; after a message that is BY_ANYBODY, until there is another one."""
        if self._tried is self._spool:
            time.sleep(seconds)
        else:
            self._urgent.wait(seconds)

    def _note(self, problem: str) -> None:
        if problem != self.state.problem:
            threadlog.error("the webhook at %s %s", self.webhook.host, problem)
        self.state.problem = problem

    def _drop(self, problem: str) -> None:
        self._note(problem)
        self.state.dropped += 1
        counters.WEBHOOKS.labels("dropped").inc()


class Webhooks:
    """All webhooks of one process."""

    def __init__(self, webhooks: Sequence[Webhook], folder: Path, client: httpx.Client) -> None:
        self._client = client
        self.senders = [Sender(each, folder, self.post) for each in webhooks]
        # Clients ask for a blocked file again and again.
        self._blocked: TTLCache[tuple[Any, ...], None] = TTLCache(10_000, ttl=BLOCKED_AGAIN)
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin to deliver what is there from before, and what comes."""
        for sender in self.senders:
            sender.start()

    def post(self, webhook: Webhook, message: Message) -> str:
        """Deliver a message now; "" or why not."""
        return delivery.post(self._client, webhook, message)

    def listen(self, event: Event) -> None:
        """Take an event of the audit log (mirror/plugin/audit/events.py)."""
        name = kind(event)
        if name is None or (name == "blocked" and self._is_known(event)):
            return
        for sender in self.senders:
            if name in sender.webhook.events:
                sender.add(body(event, name), name)

    def _is_known(self, event: Event) -> bool:
        key = tuple(event.get(each) for each in ("index", "file", "rule"))
        with self._lock:
            known = key in self._blocked
            self._blocked[key] = None
        return known
