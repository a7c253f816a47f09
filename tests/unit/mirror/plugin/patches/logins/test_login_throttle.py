"""What is asked before devpi checks a password."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from devpi_server import auth
from pyramid.httpexceptions import HTTPServiceUnavailable, HTTPTooManyRequests
from pyramid.request import Request

from mirror.plugin.access import throttle as throttles
from mirror.plugin.access.throttle import OF_NAME, Throttle
from mirror.plugin.patches.logins import login_throttle, password_cache


class Devpi:
    """One user, with the password in clear as the stored hash; counts its checks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stored = "old"
        self.checked = 0
        self.cache = password_cache.PasswordCache(self._compare)
        self.throttle = Throttle()
        user = SimpleNamespace(get=lambda *, credentials: {"pwhash": self.stored} if credentials else {})
        self._auth = SimpleNamespace(model=SimpleNamespace(get_user=lambda _: user))
        monkeypatch.setattr(password_cache, "knows", self.cache.knows)
        monkeypatch.setattr(login_throttle, "_STOCK", self._stock)
        monkeypatch.setattr(auth.Auth, "_validate", auth.Auth._validate)  # put back at the end
        monkeypatch.setattr(throttles, "WAIT", 0.01)
        login_throttle.apply(self.throttle)

    def _compare(self, password: str, pwhash: str, _salt: str | None = None) -> tuple[bool, str | None]:
        self.checked += 1
        return password == pwhash, None

    def _stock(self, _auth: object, _name: str, password: str, request: object) -> dict[str, Any]:
        assert request is not None
        right, _ = self.cache.verified(password, self.stored)
        return {"status": "ok" if right else "reject"}

    def log_in(self, password: str) -> object:
        """The status, or the refusal, of a login."""
        request = Request.blank("/+login", method="POST", environ={"packhorse.client": "192.0.2.1"})
        validate: Any = auth.Auth._validate
        try:
            return validate(self._auth, "user", password, request=request)["status"]
        except (HTTPTooManyRequests, HTTPServiceUnavailable) as refusal:
            return type(refusal)


@pytest.fixture
def devpi(monkeypatch: pytest.MonkeyPatch) -> Devpi:
    return Devpi(monkeypatch)


@contextmanager
def all_busy(throttle: Throttle) -> Iterator[None]:
    """All processors check passwords."""
    with ExitStack() as turns:
        while turns.enter_context(throttle.turn()):
            pass
        yield


def test_an_old_password_is_throttled_like_a_wrong_one(devpi: Devpi) -> None:
    """It was right once, and somebody has it: each check takes 64 MB and a tenth of a second."""
    assert devpi.log_in("old") == "ok"
    devpi.stored = "new"
    found = [devpi.log_in("old") for _ in range(25)]
    assert found == ["reject"] * OF_NAME.burst + [HTTPTooManyRequests] * (25 - OF_NAME.burst)
    assert devpi.checked == 1 + OF_NAME.burst


def test_a_known_password_passes_while_others_guess(devpi: Devpi) -> None:
    """Whoever was in goes on, from the same address too."""
    assert devpi.log_in("old") == "ok"
    assert [devpi.log_in("guess") for _ in range(20)][-1] is HTTPTooManyRequests
    assert devpi.log_in("old") == "ok"


def test_a_known_password_waits_for_nobody(devpi: Devpi) -> None:
    """Nothing is computed for it."""
    assert devpi.log_in("old") == "ok"
    with all_busy(devpi.throttle):
        assert devpi.log_in("old") == "ok"
    assert devpi.checked == 1


def test_an_old_password_is_not_checked_without_a_turn(devpi: Devpi) -> None:
    """Sixteen at once took 900 MB."""
    assert devpi.log_in("old") == "ok"
    devpi.stored = "new"
    with all_busy(devpi.throttle):
        assert devpi.log_in("old") is HTTPServiceUnavailable
    assert devpi.checked == 1
