"""Which token a request shows."""

import base64
from typing import Any

import pytest
from pymacaroons import MACAROON_V2, Macaroon
from pyramid.request import Request

from mirror.plugin.access import tokens


def token(identifier: str) -> str:
    made: str = Macaroon(identifier=identifier, key="secret", version=MACAROON_V2).serialize()
    return f"devpi-{made}"


TOKEN = token("some-user-AbC")


def login(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Basic {login('__token__', TOKEN)}"},
        {"Authorization": f"Basic {login('', TOKEN)}"},
        {"Authorization": f"Basic {login(TOKEN, '')}"},
        {"Authorization": f"Bearer {TOKEN}"},
        {"X-Devpi-Auth": login("some-user", TOKEN)},
    ],
)
def test_a_token_is_found_wherever_devpi_tokens_takes_it(headers: dict[str, str]) -> None:
    """User names may have a "-"."""
    assert tokens.stated(Request.blank("/", headers=headers)) == ("some-user", "AbC")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": f"Basic {login('me', 'a password')}"},
        {"Authorization": "Basic"},
        {"Authorization": "Basic \xff"},
        {"Authorization": 'Digest username="me"'},
        {"Authorization": f"Bearer {token('nobody')}"},
        {"X-Devpi-Auth": "devpi-"},
    ],
)
def test_what_is_no_token_names_none(headers: dict[str, Any]) -> None:
    """And harms nobody's request."""
    assert tokens.stated(Request.blank("/", headers=headers)) is None
