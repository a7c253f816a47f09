"""The header by which a replica states its client: only what it signed itself counts, and not for long."""

import time
from types import SimpleNamespace
from typing import Any

import itsdangerous
import pytest
from devpi_server import replica
from webob import Request

from mirror.plugin.patches.logins import proxied_clients
from mirror.plugin.patches.logins.proxied_clients import HEADER, SECONDS

SECRET = b"known to the replica"
OURS = "packhorse.client"


def request(header: str | None = None, *, of_replica: bool = False, address: str = "192.0.2.1") -> Request:
    made = Request.blank("/+login", headers={HEADER: header} if header else {})
    made.environ["packhorse.client"] = address
    config = SimpleNamespace(get_replica_secret=lambda: SECRET)
    made.registry = {"xom": SimpleNamespace(config=config, is_replica=lambda: of_replica)}
    return made


def signed(name: str, secret: bytes = SECRET, salt: str = OURS) -> str:
    return str(itsdangerous.URLSafeTimedSerializer(secret, salt=salt).dumps(name))


@pytest.mark.parametrize("times", [1, 2])
def test_a_primary_knows_the_client_of_its_replica(times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not who that client says it is."""
    sent: list[Any] = []
    monkeypatch.setattr(
        proxied_clients, "_STOCK", lambda _xom, asked, _stack: sent.append(asked.headers[HEADER])
    )
    monkeypatch.setattr(replica, "proxy_request_to_primary", None)
    for _ in range(times):
        proxied_clients.apply()
    asked = request(signed("198.51.100.9"), of_replica=True)
    vars(replica)["proxy_request_to_primary"](asked.registry["xom"], asked, None)
    assert proxied_clients.of_request(request(*sent, address="192.0.2.2")) == "192.0.2.1"


@pytest.mark.parametrize(
    ("secret", "salt"),
    [(b"a secret of another server", OURS), (SECRET, "itsdangerous")],  # the salt of devpi's replication
)
def test_what_others_signed_counts_for_nothing(secret: bytes, salt: str) -> None:
    """A client would guess passwords as somebody else each time."""
    assert proxied_clients.of_request(request(signed("198.51.100.9", secret, salt))) == "192.0.2.1"


def test_what_nobody_signed_counts_for_nothing() -> None:
    """Nor does a signature that is cut."""
    for header in (None, "198.51.100.9", signed("198.51.100.9")[:-1]):
        assert proxied_clients.of_request(request(header)) == "192.0.2.1"


def test_a_replica_believes_no_statement() -> None:
    """Nobody asks it for others."""
    assert proxied_clients.of_request(request(signed("198.51.100.9"), of_replica=True)) == "192.0.2.1"


@pytest.mark.parametrize(("age", "client"), [(SECONDS - 5, "198.51.100.9"), (SECONDS + 5, "192.0.2.1")])
def test_a_statement_holds_for_a_minute(age: float, client: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has seen one may not use it for ever."""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - age)
    header = signed("198.51.100.9")
    monkeypatch.setattr(time, "time", lambda: now)
    assert proxied_clients.of_request(request(header)) == client
