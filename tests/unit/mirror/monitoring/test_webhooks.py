"""What `mirror webhook` makes of the server's answers."""

import pytest

from mirror.api import RefusedError
from mirror.monitoring import webhooks
from packhorse.errors import PackhorseError


class Refusing:
    """A server that refuses each call with one status."""

    def __init__(self, status: int) -> None:
        self.status = status

    def call(self, _method: str, path: str, _body: object = None) -> None:
        raise RefusedError(f"GET {path}: the mirror answered {self.status}: see 404", "Run it.", self.status)

    def accepts(self, _user: str, _password: str) -> bool:
        return True


def test_a_mirror_without_webhooks_is_told_from_one_that_fails() -> None:
    """By the status: a reason may have any number in it."""
    for ask in (webhooks.states, webhooks.test):
        with pytest.raises(RefusedError, match="answered 500"):
            ask(Refusing(500))
        with pytest.raises(PackhorseError, match="has no webhooks") as caught:
            ask(Refusing(404))
        assert "[[webhooks]]" in caught.value.hint
