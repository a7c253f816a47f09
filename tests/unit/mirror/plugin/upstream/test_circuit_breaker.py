"""Which failures keep an upstream from being asked, and for how long; the rest is in test_page_refresh.py."""

import httpx
import pytest

from mirror.plugin.upstream import circuit_breaker
from mirror.plugin.upstream.circuit_breaker import LONGEST_RETRY, RETRY, CircuitBreaker
from mirror.plugin.upstream.client import GatewayError


class Clock:
    """A clock that tests set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(clock)


def is_open(breaker: CircuitBreaker, project: str, *, has_old: bool = False) -> bool:
    """Whether a client that wants the page of `project` is refused."""
    try:
        breaker.check(project, has_old=has_old)
    except GatewayError:
        return True
    return False


def refused() -> GatewayError:
    """Nobody is there."""
    error = GatewayError(503, "refused")
    error.__cause__ = httpx.ConnectError("refused")
    return error


def test_an_error_page_is_about_one_project_and_a_lost_connection_about_all(breaker: CircuitBreaker) -> None:
    """A page that makes an upstream fail must not take the others from anybody."""
    breaker.failed("demo", GatewayError(503, "500 for demo"))
    assert [is_open(breaker, project) for project in ("demo", "other")] == [True, False]
    breaker.failed("demo", refused())
    assert is_open(breaker, "other")
    breaker.succeeded("other")
    assert [is_open(breaker, project) for project in ("demo", "other")] == [True, False]


@pytest.mark.parametrize(("retry_after", "wait"), [("3", RETRY), ("20", 20), ("86400", LONGEST_RETRY)])
def test_the_upstream_says_for_how_long_up_to_a_minute(
    breaker: CircuitBreaker, clock: Clock, retry_after: str, wait: float
) -> None:
    """And a client is told what is left of it."""
    breaker.failed("demo", GatewayError(503, "busy", retry_after))
    clock.now += wait - 1.5
    with pytest.raises(GatewayError, match="busy") as raised:
        breaker.check("demo", has_old=False)
    assert raised.value.headers == {"Retry-After": "2"}
    clock.now += 1.5
    assert breaker.check("demo", has_old=False), "it has failed and not answered since"
    breaker.succeeded("demo")
    assert not breaker.check("demo", has_old=False)


def test_while_one_request_finds_out_whether_an_upstream_is_back_there_is_no_other(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    """Half-open: if it still is down, the others must not wait for that."""
    breaker.failed("demo", refused())
    clock.now += RETRY
    assert not is_open(breaker, "other")
    breaker.probe()
    assert is_open(breaker, "other")


def test_a_slow_upstream_is_still_asked_for_those_who_have_nothing(breaker: CircuitBreaker) -> None:
    """They would get nothing instead; the others get what is old."""
    breaker.timed_out(GatewayError(503, "slow"))
    assert is_open(breaker, "demo", has_old=True)
    assert not is_open(breaker, "demo")


def test_of_very_many_failures_the_first_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client may ask for a million names that fail."""
    monkeypatch.setattr(circuit_breaker, "REMEMBERED", 2)
    breaker = CircuitBreaker(Clock())
    for project in ("one", "two", "three"):
        breaker.failed(project, GatewayError(503, "500"))
    assert [is_open(breaker, project) for project in ("one", "two", "three")] == [False, True, True]
