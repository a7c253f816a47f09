"""Public keys of issuers: from mirror.toml, or from where an issuer's discovery document leads."""

import json
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from mirror.plugin.upstream import allowed_hosts
from mirror.plugin.upstream.allowed_hosts import HostRefusedError
from mirror.plugin.upstream.client import GatewayError, read_body

FRESH = 600.0  # seconds that keys are used before they are asked for again
PAUSE = 60.0  # between two questions because of an unknown key: anybody can name one
RETRY = 10.0  # after a question that failed
WAIT = 10.0  # for an answer, and for others who ask
LARGEST = 256 * 1024  # bytes of an answer
MOST_KEYS = 100
SHORTEST_RSA = 2048  # bits
DISCOVERY = "/.well-known/openid-configuration"  # OpenID Connect Discovery 1.0, 4.1

Keys = Mapping[str, jwt.PyJWK]


class IssuerUnavailableError(Exception):
    """An issuer did not give its keys; the text is for clients, `seconds` until it is asked again."""

    def __init__(self, text: str, seconds: float = RETRY) -> None:
        super().__init__(text)
        self.seconds = seconds


@dataclass
class _Known:
    """Known facts of one issuer."""

    keys: Keys = field(default_factory=dict)
    fresh_until: float = -math.inf
    ask_after: float = -math.inf
    failure: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)


class IssuerKeys:
    """Keys by issuer and key id. Thread-safe; an issuer is asked by one thread at a time.

    Ask it for declared issuers only: it connects to where they are.
    """

    def __init__(self, client: httpx.Client | None, clock: Callable[[], float] = time.monotonic) -> None:
        """`client` has the limits on hosts and time; None in a mirror that is offline."""
        self._client = client
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}

    def find(self, issuer: str, kid: str) -> jwt.PyJWK | None:
        """The key `kid` of `issuer`; None when it has no such key. Raises IssuerUnavailableError."""
        with self._turn(issuer) as known:
            now = self._clock()
            is_fresh = now < known.fresh_until
            if is_fresh and kid in known.keys:
                return known.keys[kid]
            if now < known.ask_after:
                if known.failure:
                    raise IssuerUnavailableError(known.failure, known.ask_after - now)
                return None
            self._ask(issuer, known)
            return known.keys.get(kid)

    @contextmanager
    def _turn(self, issuer: str) -> Iterator[_Known]:
        with self._lock:
            known = self._known.setdefault(issuer, _Known())
        if not known.lock.acquire(timeout=WAIT):
            raise IssuerUnavailableError(f"{issuer} does not answer")
        try:
            yield known
        finally:
            known.lock.release()

    def _ask(self, issuer: str, known: _Known) -> None:
        known.failure = f"{issuer} was not asked to the end"  # for who comes next, if this thread dies
        known.ask_after = self._clock() + RETRY
        try:
            known.keys = self._fetch(issuer)
        except IssuerUnavailableError as error:
            known.failure = str(error)
            raise
        known.failure = ""
        now = self._clock()
        known.fresh_until, known.ask_after = now + FRESH, now + PAUSE

    def _fetch(self, issuer: str) -> Keys:
        if self._client is None:
            raise IssuerUnavailableError(f"this mirror is offline, and asks {issuer} for none")
        found = self._json(self._client, issuer, issuer.rstrip("/") + DISCOVERY)
        if found.get("issuer") != issuer:
            raise IssuerUnavailableError(f"{issuer}: its discovery document is of another issuer")
        address = found.get("jwks_uri")
        if not isinstance(address, str):
            raise IssuerUnavailableError(f"{issuer}: its discovery document names no jwks_uri")
        try:
            return parse(self._json(self._client, issuer, address))
        except ValueError as error:
            raise IssuerUnavailableError(f"{issuer}: {error}") from error

    @staticmethod
    def _json(client: httpx.Client, issuer: str, url: str) -> dict[str, Any]:
        extensions = {allowed_hosts.OWN: issuer, allowed_hosts.WHOLE: True}
        try:
            with client.stream("GET", url, extensions=extensions) as answer:
                if answer.status_code != 200:
                    raise IssuerUnavailableError(f"{issuer} answered {answer.status_code} for its keys")
                found = json.loads(read_body(answer, LARGEST))
        except HostRefusedError as error:
            raise IssuerUnavailableError(f"{issuer} has its keys at a host that is not asked") from error
        except GatewayError as error:
            raise IssuerUnavailableError(f"{issuer} sends more than {LARGEST} bytes") from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            raise IssuerUnavailableError(f"{issuer} does not answer when it is asked for its keys") from error
        except (ValueError, RecursionError) as error:
            raise IssuerUnavailableError(f"{issuer} sends something else than JSON") from error
        if not isinstance(found, dict):
            raise IssuerUnavailableError(f"{issuer} sends something else than a JSON object")
        return found


def parse(found: Any) -> Keys:
    """The keys of a JWK set (RFC 7517) that sign by RS256 or ES256, by their ids. Raises ValueError."""
    listed = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(listed, list) or len(listed) > MOST_KEYS:
        raise ValueError(f"its keys are no JWK set of {MOST_KEYS} keys at most")
    keys = {key.key_id: key for each in listed if (key := _key(each)) and isinstance(key.key_id, str)}
    if not keys:
        raise ValueError(f"it has no RSA key of {SHORTEST_RSA} bits (RS256) and none on P-256 (ES256)")
    return keys


@lru_cache(maxsize=8)
def parse_text(text: str) -> Keys:
    """The same for JSON."""
    return parse(json.loads(text))


def _key(found: Any) -> jwt.PyJWK | None:
    """A key that verifies by one algorithm of ours, whatever a token says; None for every other."""
    if not isinstance(found, dict) or found.get("use", "sig") != "sig":
        return None
    try:
        key = jwt.PyJWK(found)
    except (jwt.PyJWTError, AttributeError, TypeError, ValueError):
        return None
    public = key.key
    rsa = isinstance(public, RSAPublicKey) and public.key_size >= SHORTEST_RSA
    p256 = isinstance(public, EllipticCurvePublicKey) and isinstance(public.curve, SECP256R1)
    return (
        key if (key.algorithm_name == "RS256" and rsa) or (key.algorithm_name == "ES256" and p256) else None
    )
