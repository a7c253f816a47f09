"""Root tokens: one per user and purpose, of which tokens for clients are made without a write for each.

A token of devpi-tokens is a macaroon: who has one can narrow it without asking anybody. So a root never
leaves the record of its user, and what a client gets is that with limits added. `mirror token revoke` of a
root ends all that were made of it at once; so does removing the user.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from devpi_tokens import server
from pymacaroons import MACAROON_V2, Macaroon


@dataclass(frozen=True)
class Purpose:
    """Purpose of a root token: `key` marks it in its user's record, `allowed` are permissions of devpi's."""

    key: str
    allowed: Sequence[str]


# On a protected index, nobody does anything who may not read it; the caveat of publishers forbids to read.
PUBLISHING = Purpose("publishing", ("upload", "pkg_read"))
READING = Purpose("reading", ("pkg_read",))


@dataclass(frozen=True)
class Derived:
    """A token for a client; `id` is that of its root, which `mirror token list` shows."""

    token: str
    id: str


def derive(request: Any, user: Any, purpose: Purpose, limits: Sequence[str]) -> Derived:
    """A token of `user` (devpi's object) with the caveats `limits`. Needs a write transaction."""
    identifier, kept = _root(user, purpose)
    macaroon = Macaroon(
        identifier=f"{user.name}-{identifier}",
        key=request.devpi_token_utility.derive_key(kept["key"]),
        version=MACAROON_V2,
    )
    return Derived(_with(macaroon, [*kept["restrictions"], *limits]), identifier)


def narrowed(token: str, limits: Sequence[str]) -> str:
    """A client's token with those caveats of `limits` added that it has not: it may ask again and again."""
    macaroon = Macaroon.deserialize(token.removeprefix("devpi-"))
    known = {caveat.caveat_id_bytes.decode() for caveat in macaroon.caveats}
    return _with(macaroon, [limit for limit in limits if limit not in known])


def _with(macaroon: Any, limits: Sequence[str]) -> str:
    for limit in limits:
        macaroon.add_first_party_caveat(limit)
    return f"devpi-{macaroon.serialize()}"


def _root(user: Any, purpose: Purpose) -> tuple[str, Any]:
    """Id and record of the user's root, which is made when there is none."""
    found = _roots(user.get(credentials=True), purpose)
    if found:
        return found[0]
    kept = {
        "key": secrets.token_urlsafe(32),
        "restrictions": [f"allowed={','.join(purpose.allowed)}"],
        purpose.key: True,
    }  # as devpi-tokens has it
    with user.key.update() as record:
        made = record.setdefault("tokens", {})
        identifier = server.generate_token_id()
        while identifier in made:
            identifier = server.generate_token_id()
        made[identifier] = kept
    return identifier, kept


def _roots(record: Any, purpose: Purpose) -> list[tuple[str, Any]]:
    return [(name, kept) for name, kept in record.get("tokens", {}).items() if kept.get(purpose.key)]


def forget(user: Any, purpose: Purpose) -> None:
    """Remove the root of `user`, if there is one. Needs a write transaction."""
    if user is not None and _roots(user.get(credentials=True), purpose):
        with user.key.update() as record:
            for name, _ in _roots(record, purpose):
                del record["tokens"][name]


def is_of(record: Any, identifier: str, purpose: Purpose) -> bool:
    """Whether the token `identifier` in the record of a user was made for this purpose."""
    return bool(record.get("tokens", {}).get(identifier, {}).get(purpose.key))
