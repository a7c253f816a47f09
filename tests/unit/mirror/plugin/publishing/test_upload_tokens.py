"""Tests of what an upload token of a CI job permits, request by request, and what it is made of."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from devpi_tokens import server
from pymacaroons import Macaroon

from mirror.plugin.access import root_tokens
from mirror.plugin.publishing import trusted_publishers, upload_tokens

ROUTE = "/{user}/{index}"
TABLES = [
    {"index": "company/dev", "projects": ["acme-*"], "issuer": "https://ci", "claims": {"a": "b"}},
    {"index": "company/prod", "projects": ["shop"], "issuer": "https://ci", "claims": {"a": "b"}},
]
DEV, PROD = trusted_publishers.parse({"publishers": TABLES}).publishers


class Key:
    """A key of devpi's database with a user's record."""

    def __init__(self, record: dict[str, Any]) -> None:
        self.record, self.writes = record, 0

    @contextmanager
    def update(self) -> Iterator[dict[str, Any]]:
        self.writes += 1
        yield self.record


class Server:
    """As much of devpi-server as a token touches: one user, and the publishers in its database."""

    def __init__(self, *tables: dict[str, Any], record: dict[str, Any] | None = None) -> None:
        self.key = Key({} if record is None else record)
        user = SimpleNamespace(
            name="company", key=self.key, get=lambda *, credentials: self.key.record if credentials else {}
        )
        self.model = SimpleNamespace(get_user=lambda name: user if name == "company" else None)
        stored = {"settings": json.dumps({"publishers": tables})}
        self.keyfs = SimpleNamespace(get_key=lambda _: SimpleNamespace(get=lambda: stored))

    def request(self, **more: Any) -> Any:  # noqa: ANN401 (pyramid's)
        """An upload of acme-web, with `more`."""
        plain = {
            "registry": {"xom": self},
            "devpi_token_utility": SimpleNamespace(derive_key=lambda key: f"derived from {key}"),
            "context": SimpleNamespace(username="company", index="dev"),
            "method": "POST",
            "matched_route": SimpleNamespace(name=ROUTE),
            "matchdict": {},
            "headers": {},
            "POST": {":action": "file_upload", "name": "Acme_Web"},
        }
        return SimpleNamespace(**{**plain, **more})


def permitted(value: str, *, of: Server | None = None, **more: Any) -> bool | str:  # noqa: ANN401 (pyramid's)
    """What the caveat of publishers says to a request: True, or why not."""
    request = (of or Server(*TABLES)).request(**more)
    caveat = SimpleNamespace(request=request, context=request.context)
    try:
        return upload_tokens._verify_publishers(caveat, value)
    except server.InvalidMacaroon as error:
        return str(error)


NOTHING_ELSE = "Token of a publisher can upload files, and do nothing else"


def test_an_upload_of_a_project_of_the_publisher_is_permitted() -> None:
    """By its normalised name; of several publishers, one of this index has to take it."""
    assert permitted(DEV.id) is True
    assert permitted(f"{PROD.id},{DEV.id}") is True
    refused = permitted(f"{PROD.id},{DEV.id}", POST={":action": "file_upload", "name": "shop"})
    assert refused == "Token denied access to project 'shop'", "shop is of the other index"
    assert permitted(PROD.id) == "Token denied access to index 'company/dev'"


@pytest.mark.parametrize(
    "more",
    [
        {"method": "PUT"},
        {"method": "GET"},
        {"method": "DELETE"},
        {"matched_route": SimpleNamespace(name="/{user}/{index}/{project}")},
        {"matched_route": None},
        {"POST": {":action": "submit", "name": "acme-web"}},
        {"POST": {":action": "doc_upload", "name": "acme-web"}},
        {"POST": {"name": "acme-web"}},
        {"method": "OPTIONS", "matchdict": {"rest": ""}},
        {"headers": {"X-Packhorse-Admission": "POST"}, "matchdict": {"rest": ""}, "method": "PUT"},
        {
            "method": "OPTIONS",
            "headers": {"X-Packhorse-Admission": "PUT"},
            "matchdict": {"rest": ""},
        },
        {
            "method": "OPTIONS",
            "headers": {"X-Packhorse-Admission": "POST"},
            "matchdict": {"rest": "/acme-web"},
        },
        {"method": "OPTIONS", "headers": {"X-Packhorse-Admission": "POST"}},
    ],
    ids=str,
)
def test_nothing_but_an_upload_is_permitted(more: dict[str, Any]) -> None:
    """Every address that devpi has, or will have, is refused unless it is that of uploads."""
    assert permitted(DEV.id, **more) == NOTHING_ELSE


@pytest.mark.parametrize("rest", ["", "/"])
def test_whether_a_body_may_come_is_answered_before_its_project_is_known(rest: str) -> None:
    """connections/admission.py asks; the index and the publisher are checked already."""
    asks: dict[str, Any] = {
        "method": "OPTIONS",
        "headers": {"X-Packhorse-Admission": "POST"},
        "matchdict": {"rest": rest},
    }
    assert permitted(DEV.id, **asks, POST={}) is True
    assert permitted(PROD.id, **asks, POST={}) == "Token denied access to index 'company/dev'"


def test_a_request_without_a_project_or_an_index_is_refused() -> None:
    """A caveat that lets pass what it does not understand would be none."""
    assert permitted(DEV.id, POST={":action": "file_upload"}) == "Token denied access to project 'none'"
    assert permitted(DEV.id, context=None) == "Token denied access to index 'None/None'"
    elsewhere = SimpleNamespace(username=None, index=None)
    assert permitted(DEV.id, context=elsewhere) == "Token denied access to index 'None/None'"


def test_a_publisher_that_is_not_declared_any_more_permits_nothing() -> None:
    """From the moment that `mirror init` has applied mirror.toml, whatever the token's expiry."""
    gone = "Token of a publisher that is not in mirror.toml any more"
    assert permitted(DEV.id, of=Server()) == gone
    assert permitted("", of=Server(*TABLES)) == gone
    assert permitted(DEV.id, of=Server({**TABLES[0], "projects": ["acme-web"]})) == gone
    assert permitted(f"{DEV.id},{PROD.id}", of=Server(TABLES[0])) is True


def caveats(token: str) -> list[str]:
    found = Macaroon.deserialize(token.removeprefix("devpi-"))
    return [each.caveat_id_bytes.decode() for each in found.caveats]


def test_a_token_is_made_of_one_that_its_owner_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written once: thousands of jobs leave nothing in the database, and its limits come first."""
    monkeypatch.setattr(time, "time", lambda: 1000.9)
    running = Server(record={"tokens": {"own": {"key": "a person's", "restrictions": []}}})
    made = upload_tokens.mint(running.request(), [PROD, DEV], "4711")
    again = upload_tokens.mint(running.request(), [DEV], "4712")
    kept = running.key.record["tokens"]
    assert sorted(kept) == sorted(["own", made.id])
    assert (running.key.writes, again.id) == (1, made.id)
    assert kept["own"] == {"key": "a person's", "restrictions": []}
    assert (kept[made.id]["restrictions"], kept[made.id][root_tokens.PUBLISHING.key]) == (
        ["allowed=upload,pkg_read"],
        True,
    )
    assert (made.user, made.expires) == ("company", 1000 + upload_tokens.LIFE)
    assert caveats(made.token) == [
        "allowed=upload,pkg_read",
        f"expires={1000 + upload_tokens.LIFE}",
        "indexes=company/dev,company/prod",
        f"publishers={','.join(sorted([DEV.id, PROD.id]))}",
        "run=4711",
    ]
    assert kept[made.id]["key"] not in made.token


def test_an_id_that_is_taken_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would replace a person's token."""
    ids = iter(["taken", "taken", "free"])
    monkeypatch.setattr(server, "generate_token_id", lambda: next(ids))
    running = Server(record={"tokens": {"taken": {"key": "x", "restrictions": []}}})
    assert upload_tokens.mint(running.request(), [DEV], "1").id == "free"
    assert running.key.record["tokens"]["taken"] == {"key": "x", "restrictions": []}


def test_the_owners_token_is_forgotten_and_nothing_else() -> None:
    """An owner without publishers keeps none; where there is nothing to forget, nothing is written."""
    running = Server(record={"tokens": {"own": {"key": "x", "restrictions": []}}})
    upload_tokens.mint(running.request(), [DEV], "1")
    root_tokens.forget(running.model.get_user("company"), root_tokens.PUBLISHING)
    assert list(running.key.record["tokens"]) == ["own"]
    writes = running.key.writes
    for name in ("company", "nobody"):
        root_tokens.forget(running.model.get_user(name), root_tokens.PUBLISHING)
    assert running.key.writes == writes
