"""Throttle wrong passwords by client and by user name; take as long for names that do not exist."""

import contextlib
import functools
import secrets
from collections.abc import Callable
from typing import Any

from devpi_server import auth
from pyramid.httpexceptions import HTTPServiceUnavailable, HTTPTooManyRequests

from mirror.plugin.access.throttle import Throttle
from mirror.plugin.audit import tween
from mirror.plugin.patches import replace_members
from mirror.plugin.patches.logins import password_cache, proxied_clients

_STOCK: Callable[..., dict[str, Any]] = auth.Auth._validate  # noqa: SLF001 (listed in compat.py)
_WRONG = "packhorse.wrong"  # names and passwords of this request that were wrong; in its environment
_RESULT = "__devpiserver_user_validate_result"  # of devpi's, see auth.py


def apply(throttle: Throttle) -> None:
    """Ask `throttle` before each check of a password. A valid token of `devpi login` is none."""

    def validate(self: Any, authuser: Any, authpassword: Any, request: Any = None) -> dict[str, Any]:
        if not isinstance(authuser, str) or not isinstance(authpassword, str):
            return {"status": "nouser"}  # devpi would stop with an error
        check = functools.partial(_check, self, authuser, authpassword, request)
        if request is None:
            return check()
        wrong = request.environ.setdefault(_WRONG, set())
        if (authuser, authpassword) in wrong:
            return {"status": "reject"}
        is_free = throttle.is_known(authuser, authpassword) and _is_cached(self, authuser, authpassword)
        turn = contextlib.nullcontext(True) if is_free else throttle.turn()  # noqa: FBT003 (what a turn yields)
        with turn as free:
            result = (
                _throttled(throttle, request, authuser, authpassword, check)
                if free
                else _refuse(request, HTTPServiceUnavailable, 1)
            )
        if result["status"] != "ok":
            wrong.add((authuser, authpassword))
        return result

    replace_members(auth.Auth, _validate=validate)


def _is_cached(auth: Any, name: str, password: str) -> bool:
    """Whether a check of this password takes no time."""
    user = auth.model.get_user(name)
    found = (user and user.get(credentials=True)) or {}
    stored = found.get("pwhash")
    return stored is not None and password_cache.knows(password, stored, found.get("pwsalt"))


def _throttled(
    throttle: Throttle, request: Any, name: str, password: str, check: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Check a password if its client may try one now, or if it was right the last time."""
    client = proxied_clients.of_request(request)
    # Asked when it has its turn: others may have been refused meanwhile.
    seconds = 0.0 if throttle.is_known(name, password) else throttle.seconds_to_wait(client, name)
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
