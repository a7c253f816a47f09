"""Limit on the tokens of a user."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from devpi_server.views import HTTPResponse
from devpi_tokens import server

from mirror.plugin.patches.logins import token_limit


class _User:
    """A user of devpi with `tokens`, whose record is kept as devpi keeps it."""

    name = "ann"

    def __init__(self, tokens: dict[str, Any]) -> None:
        self.tokens, self.key = tokens, self

    def get(self, *, credentials: bool) -> dict[str, Any]:
        assert credentials
        return {"tokens": self.tokens}

    @contextmanager
    def update(self) -> Iterator[dict[str, Any]]:
        yield {"tokens": self.tokens}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of users for whom devpi-tokens was to make a token."""
    found: list[str] = []

    def new_token(_self: object, user: _User, _restrictions: object) -> str:
        found.append(user.name)
        return "devpi-token"

    monkeypatch.setattr(token_limit, "_STOCK", new_token)
    return found


def _new_token(tokens: dict[str, Any]) -> dict[str, Any]:
    user = _User(tokens)
    token_limit._new_token(server.TokenUtility(None), user)
    return user.tokens


def test_a_user_has_so_many_tokens_and_no_more(made: list[str]) -> None:
    """Each new one writes all of them again."""
    tokens = {str(number): {"restrictions": ["allowed=upload"]} for number in range(token_limit.MOST)}
    with pytest.raises(HTTPResponse) as refused:
        _new_token(tokens)
    assert (refused.value.status_code, made) == (409, [])
    del tokens["0"]
    assert _new_token(tokens) == tokens
    assert made == ["ann"]


def test_expired_tokens_make_room_when_there_is_none(made: list[str]) -> None:
    """Before that `mirror token list` shows them."""
    lasting = {
        str(number): {"restrictions": ["expires=99999999999"]} for number in range(token_limit.MOST - 1)
    }
    expired = {"old": {"restrictions": ["allowed=upload", "expires=1700000000"]}}
    assert _new_token({"older": {"restrictions": ["expires=5"]}}) == {
        "older": {"restrictions": ["expires=5"]}
    }
    assert _new_token({**lasting, **expired}) == lasting
    assert made == ["ann", "ann"]
