"""Throttle wrong passwords by client and by user name; take as long for names that do not exist."""

import contextlib
import functools
import hashlib
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cachetools import LRUCache, TTLCache
from devpi_server import auth
from pyramid.httpexceptions import HTTPServiceUnavailable, HTTPTooManyRequests

from mirror.plugin.audit import tween

_STOCK: Callable[..., dict[str, Any]] = auth.Auth._validate  # noqa: SLF001 (listed in compat.py)
MOST = 10_000  # clients and names that are remembered
WAIT = 10.0  # seconds for a turn
_WRONG = "packhorse.wrong"  # names and passwords of this request that were wrong; in its environment
_RESULT = "__devpiserver_user_validate_result"  # of devpi's, see auth.py


@dataclass(frozen=True)
class Limit:
    """`burst` wrong passwords at once, then one more each `seconds`."""

    burst: int
    seconds: float


OF_NAME = Limit(burst=10, seconds=6)
OF_CLIENT = Limit(burst=200, seconds=1)  # many people may share an address


class Throttle:
    """Counts the wrong passwords of each client, and of each client for each user name.

    A password that was right once is let through all the same: nobody is locked out by others who guess.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        # What a limit still takes is a point in time, as in GCRA (the leaky bucket as a meter).
        self._full_until: TTLCache[tuple[str, ...], float] = TTLCache(MOST, ttl=600, timer=clock)
        self._right: LRUCache[bytes, None] = LRUCache(MOST)
        self._key = secrets.token_bytes(32)
        # A check takes a tenth of a second of a processor; those that wait for one hold their threads.
        self._turns = threading.BoundedSemaphore(os.cpu_count() or 1)

    def is_known(self, name: str, password: str) -> bool:
        """Whether this password was right before."""
        with self._lock:
            return self._digest(name, password) in self._right

    def seconds_to_wait(self, client: str, name: str) -> float:
        """0 when the client may try a password of this user now."""
        with self._lock:
            return max(0.0, *(self._excess(key, limit) for key, limit in _limits(client, name)))

    def count(self, client: str, name: str, password: str, *, right: bool) -> None:
        """Note what came of a try."""
        with self._lock:
            if right:
                self._right[self._digest(name, password)] = None
                self._full_until.pop((client, name), None)
                return
            for key, limit in _limits(client, name):
                now = self._clock()
                self._full_until[key] = max(now, self._full_until.get(key, now)) + limit.seconds

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Whether a processor is free for a check, after some seconds of waiting."""
        free = self._turns.acquire(timeout=WAIT)
        try:
            yield free
        finally:
            if free:
                self._turns.release()

    def _excess(self, key: tuple[str, ...], limit: Limit) -> float:
        return self._full_until.get(key, 0.0) - self._clock() - (limit.burst - 1) * limit.seconds

    def _digest(self, name: str, password: str) -> bytes:
        text = f"{name}\0{password}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, key=self._key).digest()


def _limits(client: str, name: str) -> list[tuple[tuple[str, ...], Limit]]:
    return [((client, name), OF_NAME), ((client,), OF_CLIENT)]


def apply() -> None:
    """Ask the throttle before each check of a password. A valid token of `devpi login` is none."""
    throttle = Throttle()

    def validate(self: Any, authuser: Any, authpassword: Any, request: Any = None) -> dict[str, Any]:
        if not isinstance(authuser, str) or not isinstance(authpassword, str):
            return {"status": "nouser"}  # devpi would stop with an error
        check = functools.partial(_check, self, authuser, authpassword, request)
        if request is None:
            return check()
        wrong = request.environ.setdefault(_WRONG, set())
        if (authuser, authpassword) in wrong:
            return {"status": "reject"}
        known = throttle.is_known(authuser, authpassword)
        result = check() if known else _throttled(throttle, request, authuser, authpassword, check)
        if result["status"] != "ok":
            wrong.add((authuser, authpassword))
        return result

    setattr(auth.Auth, "_validate", validate)  # noqa: B010 (so does mypy not mind)


def _throttled(
    throttle: Throttle, request: Any, name: str, password: str, check: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Check a password if its client may try one now."""
    client = request.environ.get("packhorse.client") or str(request.client_addr)
    with throttle.turn() as free:
        if not free:
            return _refuse(request, HTTPServiceUnavailable, 1)
        seconds = throttle.seconds_to_wait(client, name)
        if seconds > 0:
            tween.denied(request, "login", "throttle")
            return _refuse(request, HTTPTooManyRequests, seconds)
        result = check()
        right = result["status"] == "ok"
        throttle.count(client, name, password, right=right)
        if not right:
            # A name that nobody has may be a password that was typed into the wrong field.
            known = name if result["status"] == "reject" else None
            tween.denied(request, "login", "login", claimed=known)
        return result


def _check(self: Any, name: str, password: str, request: Any) -> dict[str, Any]:
    if request is not None:  # devpi remembers on it what came of the first password, of whatever user
        with contextlib.suppress(AttributeError):
            delattr(request, _RESULT)
    result = _STOCK(self, name, password, request=request)
    if result["status"] == "nouser":  # otherwise the time tells which names there are
        auth.verify_and_update_password_hash(password, _nobody())
    return result


@functools.cache
def _nobody() -> str:
    hashed: str = auth.hash_password(secrets.token_hex(16))
    return hashed


def _refuse(request: Any, refusal: Any, seconds: float) -> dict[str, Any]:
    """Let reads go on without a login, as devpi does with a wrong one; refuse everything else.

    devpi asks who it is again while it makes the answer: the second time there is no login either.
    """
    if request.method in {"GET", "HEAD"} or request.environ.get("packhorse.refused"):
        return {"status": "reject"}
    request.environ["packhorse.refused"] = True
    raise refusal("Too many wrong passwords.", headers={"Retry-After": str(int(seconds) + 1)})
