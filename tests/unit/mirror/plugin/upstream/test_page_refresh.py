"""When an upstream is asked, by whom, and how long clients wait for it."""

import threading
import time
from collections.abc import Callable

import httpx
import pytest

from mirror.plugin.upstream.circuit_breaker import RETRY
from mirror.plugin.upstream.client import GatewayError
from mirror.plugin.upstream.page_refresh import PATIENCE, PageRefresh


class Clock:
    """A clock that tests set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Question:
    """Counts how often it is asked, and answers as it is told."""

    def __init__(self, trouble: GatewayError | None = None) -> None:
        self.asked = 0
        self.trouble = trouble
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self) -> None:
        self.asked += 1
        self.go_on.wait(60)
        if self.trouble:
            raise self.trouble


def unreachable() -> GatewayError:
    """What `UpstreamClient` raises when nobody is there."""
    trouble = GatewayError(503, "refused")
    trouble.__cause__ = httpx.ConnectError("refused")
    return trouble


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def asking(clock: Clock) -> PageRefresh:
    return PageRefresh(clock)


def settle(condition: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_many_who_want_the_same_ask_once(asking: PageRefresh) -> None:
    """A fleet that starts at once must not become a flood upstream."""
    question = Question()
    question.go_on.clear()
    asks = {"may_wait": 10.0, "has_old": False}
    clients = [threading.Thread(target=asking.ask, args=("demo", question), kwargs=asks) for _ in range(10)]
    for client in clients:
        client.start()
    settle(lambda: asking.waiting == 10)
    question.go_on.set()
    for client in clients:
        client.join(60)
    assert question.asked == 1


def test_the_next_question_is_asked_anew(asking: PageRefresh) -> None:
    """Answers are not kept here."""
    question = Question()
    for _ in range(2):
        asking.ask("demo", question, may_wait=5, has_old=False)
    assert question.asked == 2


def test_a_page_that_failed_is_not_asked_for_again_at_once(asking: PageRefresh, clock: Clock) -> None:
    """An upstream in trouble needs no help to stay in it; other projects are asked for."""
    failing, fine = Question(GatewayError(503, "500 for demo")), Question()
    for _ in range(2):
        with pytest.raises(GatewayError, match="500 for demo"):
            asking.ask("demo", failing, may_wait=5, has_old=False)
    asking.ask("other", fine, may_wait=5, has_old=False)
    assert (failing.asked, fine.asked) == (1, 1)
    clock.now += RETRY + 0.1
    failing.trouble = None
    asking.ask("demo", failing, may_wait=5, has_old=False)
    assert failing.asked == 2


def test_when_nobody_is_there_nothing_is_asked_for_some_seconds(asking: PageRefresh, clock: Clock) -> None:
    """A dead upstream must cost one time limit, not one per request."""
    question = Question(unreachable())
    with pytest.raises(GatewayError, match="refused"):
        asking.ask("demo", question, may_wait=5, has_old=False)
    for name in ("other", "third"):
        with pytest.raises(GatewayError, match="refused") as raised:
            asking.ask(name, question, may_wait=5, has_old=False)
        assert raised.value.headers["Retry-After"] == str(int(RETRY))
    assert question.asked == 1
    clock.now += RETRY + 0.1
    question.trouble = None
    asking.ask("other", question, may_wait=5, has_old=False)
    asking.ask("third", question, may_wait=5, has_old=False)
    assert question.asked == 3


def test_the_first_try_after_a_failure_is_made_by_one(asking: PageRefresh, clock: Clock) -> None:
    """If it still is dead, the others must not wait with it."""
    with pytest.raises(GatewayError):
        asking.ask("demo", Question(unreachable()), may_wait=5, has_old=False)
    clock.now += RETRY + 0.1
    slow = Question(unreachable())
    slow.go_on.clear()
    prober = threading.Thread(target=_swallow, args=(asking, "demo", slow))
    prober.start()
    settle(lambda: slow.asked == 1)
    other = Question()
    with pytest.raises(GatewayError, match="refused"):
        asking.ask("other", other, may_wait=5, has_old=False)
    assert other.asked == 0
    slow.go_on.set()
    prober.join(60)


def _swallow(asking: PageRefresh, project: str, question: Question) -> None:
    with pytest.raises(GatewayError):
        asking.ask(project, question, may_wait=5, has_old=False)


def test_who_has_something_old_does_not_wait_for_a_slow_upstream_twice() -> None:
    """The first waits a few seconds for news, the next are served what there is; the answer still counts."""
    asking, slow = PageRefresh(), Question()
    slow.go_on.clear()
    began = time.monotonic()
    with pytest.raises(GatewayError, match="not yet answered"):
        asking.ask("demo", slow, may_wait=30, has_old=True)
    assert PATIENCE - 0.1 < time.monotonic() - began < 25
    began = time.monotonic()
    for name in ("demo", "other"):
        with pytest.raises(GatewayError):
            asking.ask(name, Question(), may_wait=30, has_old=True)
    assert time.monotonic() - began < PATIENCE
    slow.go_on.set()
    settle(lambda: asking.waiting == 0 and not asking.pending)
    asking.ask("other", Question(), may_wait=30, has_old=True)


def test_after_the_time_limit_the_question_goes_on(asking: PageRefresh) -> None:
    """A page that needs longer than a client waits is there when it asks again."""
    question = Question()
    question.go_on.clear()
    with pytest.raises(GatewayError, match="not yet answered"):
        asking.ask("demo", question, may_wait=0.05, has_old=False)
    question.go_on.set()
    settle(lambda: not asking.pending)
    assert question.asked == 1


def test_a_mistake_of_ours_reaches_who_asked(asking: PageRefresh) -> None:
    """A thread's exception that nobody sees is a bug that nobody finds."""

    def broken() -> None:
        raise KeyError("a bug")

    with pytest.raises(KeyError, match="a bug"):
        asking.ask("demo", broken, may_wait=5, has_old=False)


def test_an_upstream_that_wants_us_away_is_obeyed_for_a_minute_at_most(
    asking: PageRefresh, clock: Clock
) -> None:
    """Retry-After of 429 and 503; a day would be a lie about the upstream for a day."""
    question = Question(GatewayError(503, "429", "86400"))
    with pytest.raises(GatewayError):
        asking.ask("demo", question, may_wait=5, has_old=False)
    clock.now += 50
    with pytest.raises(GatewayError):
        asking.ask("demo", question, may_wait=5, has_old=False)
    assert question.asked == 1
    clock.now += 11
    with pytest.raises(GatewayError):
        asking.ask("demo", question, may_wait=5, has_old=False)
    assert question.asked == 2
