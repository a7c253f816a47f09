"""Keys of issuers that misbehave: real connections, with the limits of a mirror."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mirror.plugin.publishing import issuer_keys
from mirror.plugin.publishing.issuer_keys import IssuerKeys, IssuerUnavailableError
from mirror.plugin.upstream.allowed_hosts import AllowedHosts, UpstreamTransport
from tests.support.issuer import DISCOVERY, KEYS, RSA_KEY, Issuer, jwk


class Clock:
    """A clock that tests set."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(tmp_path: Path, clock: Clock) -> Iterator[IssuerKeys]:
    """As wiring.py makes them, with two seconds in place of ten."""
    hosts = AllowedHosts([], tmp_path / "refused")
    transport = UpstreamTransport(hosts, ssl.create_default_context(), longest=2)
    with httpx.Client(transport=transport, timeout=1, follow_redirects=False) as client:
        yield IssuerKeys(client, clock)


def body(found: object) -> bytes:
    return json.dumps(found).encode()


Break = Callable[[Issuer], Mapping[str, bytes | int]]
BROKEN: Mapping[str, tuple[Break, str]] = MappingProxyType(
    {
        "an error": (lambda _: {DISCOVERY: 500}, "answered 500 for its keys"),
        "a redirect": (lambda _: {DISCOVERY: 302}, "answered 302 for its keys"),
        "no keys": (lambda _: {KEYS: 404}, "answered 404 for its keys"),
        "no JSON": (lambda _: {DISCOVERY: b"<html>"}, "sends something else than JSON"),
        "deep JSON": (lambda _: {DISCOVERY: b"[" * 100_000}, "sends something else than JSON"),
        "a list": (lambda _: {DISCOVERY: b"[]"}, "sends something else than a JSON object"),
        "a flood": (lambda _: {KEYS: b" " * 300_000}, "sends more than 262144 bytes"),
        "another issuer's document": (
            lambda _: {DISCOVERY: body({"issuer": "https://other.example.com", "jwks_uri": "x"})},
            "its discovery document is of another issuer",
        ),
        "no address of keys": (
            lambda issuer: {DISCOVERY: body({"issuer": issuer.url})},
            "its discovery document names no jwks_uri",
        ),
        "a file": (
            lambda issuer: {DISCOVERY: body({"issuer": issuer.url, "jwks_uri": "file:///etc/passwd"})},
            "has its keys at a host that is not asked",
        ),
        "no set": (lambda _: {KEYS: body({"keys": {}})}, "its keys are no JWK set of 100 keys at most"),
        "too many": (lambda _: {KEYS: body({"keys": [1] * 101})}, "its keys are no JWK set"),
        "a shared secret": (
            lambda _: {KEYS: body({"keys": [{"kty": "oct", "k": "AAAA", "kid": "rsa", "alg": "HS256"}]})},
            "it has no RSA key of 2048 bits (RS256) and none on P-256 (ES256)",
        ),
    }
)


@pytest.mark.parametrize("fault", BROKEN)
def test_an_issuer_that_answers_something_else_has_no_keys(
    issuer: Issuer, keys: IssuerKeys, clock: Clock, fault: str
) -> None:
    """It is not asked again for ten seconds; then its keys count."""
    make, words = BROKEN[fault]
    issuer.broken.update(make(issuer))
    for _ in range(3):
        with pytest.raises(IssuerUnavailableError) as caught:
            keys.find(issuer.url, "rsa")
        assert words in str(caught.value)
    assert issuer.asked[DISCOVERY] == 1
    issuer.broken.clear()
    clock.now += issuer_keys.RETRY
    assert keys.find(issuer.url, "rsa")


def test_an_issuer_leads_to_no_other_host_without_tls(issuer: Issuer, keys: IssuerKeys) -> None:
    """Such as a service that this machine alone can reach."""
    with Issuer() as other:
        issuer.broken[DISCOVERY] = body({"issuer": issuer.url, "jwks_uri": f"{other.url}{KEYS}"})
        with pytest.raises(IssuerUnavailableError, match="at a host that is not asked"):
            keys.find(issuer.url, "rsa")
        assert not other.asked


def test_an_issuer_that_says_nothing_holds_nobody_for_long(issuer: Issuer, keys: IssuerKeys) -> None:
    """Eight jobs at once: one asks, the others hear of it."""
    issuer.silent.set()
    heard: list[str] = []

    def ask() -> None:
        try:
            keys.find(issuer.url, "rsa")
        except IssuerUnavailableError as error:
            heard.append(str(error))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert heard == [f"{issuer.url} does not answer when it is asked for its keys"] * 8
    assert issuer.asked[DISCOVERY] == 1


def test_keys_are_kept_and_asked_for_again_in_time(issuer: Issuer, keys: IssuerKeys, clock: Clock) -> None:
    """One that the issuer has withdrawn counts ten minutes at most, and not after a failure."""
    for _ in range(3):
        assert keys.find(issuer.url, "rsa")
        assert keys.find(issuer.url, "ec")
    assert issuer.asked[KEYS] == 1
    assert keys.find(issuer.url, "unknown") is None
    clock.now += issuer_keys.PAUSE
    assert keys.find(issuer.url, "unknown") is None
    assert keys.find(issuer.url, "another") is None
    assert issuer.asked[KEYS] == 2
    issuer.keys = issuer.keys[1:]
    clock.now += issuer_keys.FRESH
    assert keys.find(issuer.url, "rsa") is None
    issuer.broken[KEYS] = 503
    clock.now += issuer_keys.FRESH
    with pytest.raises(IssuerUnavailableError):
        keys.find(issuer.url, "ec")


def test_an_unknown_key_that_cannot_be_asked_for_takes_nothing_from_known_ones(
    issuer: Issuer, keys: IssuerKeys, clock: Clock
) -> None:
    """Anybody can name one."""
    assert keys.find(issuer.url, "rsa")
    issuer.broken[KEYS] = 503
    clock.now += issuer_keys.PAUSE
    with pytest.raises(IssuerUnavailableError):
        keys.find(issuer.url, "unknown")
    assert keys.find(issuer.url, "rsa")


def test_keys_that_are_weak_or_for_something_else_do_not_count() -> None:
    """Nor private ones that somebody has published, nor keys for another algorithm."""
    weak = rsa.generate_private_key(65537, 1024)  # noqa: S505 (refused)
    curve = ec.generate_private_key(ec.SECP384R1())
    found = issuer_keys.parse(
        {
            "keys": [
                jwk(RSA_KEY, "good"),
                jwk(weak, "weak"),
                jwk(curve, "curve"),
                jwk(curve, "misnamed", alg="ES256"),
                jwk(RSA_KEY, "padded", alg="PS256"),
                {**jwk(RSA_KEY, "encryption"), "use": "enc"},
                {**jwk(RSA_KEY, "x"), "kid": 7},
                {"kty": "RSA", "kid": "broken", "n": 1, "e": []},
                {"kty": ["RSA"]},
                "no key",
            ]
        }
    )
    assert set(found) == {"good"}
