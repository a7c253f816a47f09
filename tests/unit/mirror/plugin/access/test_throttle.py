"""How many passwords may be guessed."""

from mirror.plugin.access.throttle import MOST, OF_CLIENT, OF_NAME, Throttle


class Clock:
    """A clock that tests set."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def tries(throttle: Throttle, client: str, name: str, count: int) -> int:
    """How many of `count` wrong passwords are looked at."""
    looked_at = 0
    for number in range(count):
        if throttle.seconds_to_wait(client, name) == 0:
            throttle.count(client, name, str(number), right=False)
            looked_at += 1
    return looked_at


def test_ten_thousand_wrong_passwords_are_ten_checks() -> None:
    """Then one each six seconds."""
    clock = Clock()
    throttle = Throttle(clock)
    assert tries(throttle, "a", "x", 10_000) == OF_NAME.burst
    clock.now += OF_NAME.seconds
    assert tries(throttle, "a", "x", 100) == 1
    clock.now += 3600
    assert tries(throttle, "a", "x", 100) == OF_NAME.burst


def test_what_is_remembered_of_attackers_is_bounded() -> None:
    """A botnet, or names without end."""
    throttle = Throttle(Clock())
    for number in range(2 * MOST):
        throttle.count(f"client{number}", f"name{number}", "wrong", right=False)
    assert len(throttle._full_until) <= MOST


def test_many_names_have_a_limit_too() -> None:
    """A list of names with one common password."""
    throttle = Throttle(Clock())
    assert sum(tries(throttle, "a", f"name{number}", 1) for number in range(1000)) == OF_CLIENT.burst


def test_others_are_not_locked_out() -> None:
    """Neither another user of the same office, nor the same one from elsewhere, nor who was in before."""
    throttle = Throttle(Clock())
    throttle.count("a", "x", "right", right=True)
    tries(throttle, "a", "x", 100)
    assert throttle.seconds_to_wait("a", "x") > 0
    assert throttle.is_known("x", "right")
    assert not throttle.is_known("x", "wrong")
    assert [throttle.seconds_to_wait("a", "y"), throttle.seconds_to_wait("b", "x")] == [0, 0]


def test_a_right_password_forgives_wrong_ones() -> None:
    """Whoever mistypes nine times may do so again another day."""
    throttle = Throttle(Clock())
    tries(throttle, "a", "x", 9)
    throttle.count("a", "x", "right", right=True)
    assert tries(throttle, "a", "x", 100) == OF_NAME.burst


def test_a_password_that_is_right_no_more_is_known_no_more() -> None:
    """It was changed, and an attacker has the old one."""
    throttle = Throttle(Clock())
    throttle.count("a", "x", "old", right=True)
    throttle.count("a", "x", "old", right=False)
    assert not throttle.is_known("x", "old")
    assert tries(throttle, "a", "x", 100) == OF_NAME.burst - 1


def test_a_known_password_forgives_nothing() -> None:
    """A program sends it with each request; who guesses may share its address."""
    throttle = Throttle(Clock())
    throttle.count("a", "x", "right", right=True)
    assert tries(throttle, "a", "x", 100) == OF_NAME.burst
    throttle.count("a", "x", "right", right=True)
    assert throttle.seconds_to_wait("a", "x") > 0
