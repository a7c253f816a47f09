"""Faults of an upstream: functions that turn a correct answer into a wrong one."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Answer:
    """The response that the upstream is about to send, and how it sends it.

    `body` is what is sent, cut off after `cut` bytes (the connection is closed then); `headers` may
    promise another length. Before byte number `pause_at` it waits until `gate` is set (at most
    `seconds`); `pace` is the pause in seconds after each KiB. Without `sized` no header tells the
    length: the end of the connection is the end of the body.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None
    gate: threading.Event | None = None
    pause_at: int = -1
    seconds: float = 60
    pace: float = 0
    sized: bool = True


Fault = Callable[[Answer], Answer]


def status(code: int, **headers: str) -> Fault:
    """Answer `code`; keyword `Retry_After="1"` becomes the header Retry-After."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: Answer(code, {"Content-Type": "text/plain", **named}, b"fault on purpose\n")


def hang(seconds: float = 60) -> Fault:
    """Accept the request and say nothing for so long (or until the upstream is closed)."""
    return lambda answer: replace(answer, gate=threading.Event(), pause_at=-1, seconds=seconds)


def delayed(seconds: float) -> Fault:
    """Say nothing for a while, then answer."""
    return hang(seconds)


def held(gate: threading.Event, at: int = -1) -> Fault:
    """Wait for `gate` before the header (-1) or before byte `at` of the body."""
    return lambda answer: replace(answer, gate=gate, pause_at=at)


def dropped(answer: Answer) -> Answer:
    """Close the connection instead of answering."""
    return replace(answer, status=0, body=b"")


def truncated(answer: Answer) -> Answer:
    """Promise the whole body, send half of it, close."""
    return replace(answer, cut=len(answer.body) // 2)


def unsized(answer: Answer) -> Answer:
    """The right answer, without its length."""
    return replace(answer, sized=False)


def unsized_and_truncated(answer: Answer) -> Answer:
    """Half the answer, without its length: it looks whole."""
    return replace(answer, sized=False, cut=len(answer.body) // 2)


def short(answer: Answer) -> Answer:
    """Half the body, and a header that says that this is all."""
    return replace(answer, body=answer.body[: len(answer.body) // 2])


def garbage(answer: Answer) -> Answer:
    """Something else under the right content type."""
    return replace(answer, body=b'\x00\xff{"]<<< this is not what you asked for')


def wrong_bytes(answer: Answer) -> Answer:
    """The right length, the wrong content."""
    return replace(answer, body=bytes(255 - byte for byte in answer.body))


def wrong_end(answer: Answer) -> Answer:
    """The right length, only the last byte is wrong."""
    return replace(answer, body=answer.body[:-1] + bytes([255 - answer.body[-1]]))


def content_type(value: str) -> Fault:
    """The right body under another content type."""
    return lambda answer: replace(answer, headers={**answer.headers, "Content-Type": value})


def swapped(other: Answer) -> Fault:
    """Another page's or file's answer, such as the one of another project."""
    return lambda _: other


def trickle(seconds_per_kib: float) -> Fault:
    """The right answer, slowly."""
    return lambda answer: replace(answer, pace=seconds_per_kib)


def both(first: Fault, second: Fault) -> Fault:
    """One after the other."""
    return lambda answer: second(first(answer))


def redirect(location: str) -> Fault:
    """Sent to `location`."""
    return lambda _: Answer(302, {"Location": location})
