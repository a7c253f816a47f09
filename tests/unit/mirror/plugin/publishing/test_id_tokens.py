"""Tests of ID tokens at their limits: sizes, times to the second, and which key verifies.

What forged tokens get is in tests/integration/mirror/test_attack_publishing.py.
"""

import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from mirror.plugin.publishing import id_tokens, trusted_publishers
from mirror.plugin.publishing.id_tokens import FindKey, RefusedError
from mirror.plugin.publishing.trusted_publishers import TrustedPublishers

ISSUER, AUDIENCE, NOW = "https://ci.example.com", "p.example.com", 1_800_000_000
KEY, OTHER_KEY = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())


def jwk(key: ec.EllipticCurvePrivateKey, **more: str) -> dict[str, Any]:
    return {**jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "alg": "ES256", **more}


def given(**more: object) -> TrustedPublishers:
    job = {"index": "company/dev", "projects": ["*"], "issuer": ISSUER, "claims": {"x": "y"}, **more}
    return trusted_publishers.parse({"audience": AUDIENCE, "publishers": [job]})


WITHOUT_KEYS = given()


def token(kid: str = "a", **claims: Any) -> str:  # noqa: ANN401 (JSON)
    all_of = {"iss": ISSUER, "sub": "x", "aud": AUDIENCE, "iat": NOW, "exp": NOW + 300, "jti": "1", **claims}
    return jwt.encode(all_of, KEY, "ES256", headers={"kid": kid})


def find(issuer: str, kid: str) -> jwt.PyJWK | None:
    return jwt.PyJWK(jwk(KEY)) if (issuer, kid) == (ISSUER, "a") else None


def reason(text: str, to: TrustedPublishers = WITHOUT_KEYS, find: FindKey = find) -> str | None:
    """Why a token is refused; None when it is taken."""
    try:
        claims = id_tokens.verify(text, to, find)
    except RefusedError as error:
        return f"{error.code}: {error}"
    return None if claims["iss"] == ISSUER else "other claims"


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyJWT reads the same clock by another name."""

    class Fixed(jwt.api_jwt.datetime):  # type: ignore[name-defined]
        @classmethod
        def now(cls, tz: Any = None) -> Any:  # noqa: ANN401
            return cls.fromtimestamp(NOW, tz)

    monkeypatch.setattr(jwt.api_jwt, "datetime", Fixed)
    monkeypatch.setattr(time, "time", lambda: float(NOW))


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({}, None),
        ({"exp": NOW - 29}, None),
        ({"exp": NOW - 30}, "it has expired"),
        ({"nbf": NOW + 30}, None),
        ({"nbf": NOW + 31}, "it is not valid yet"),
        ({"iat": NOW + 30}, None),
        ({"iat": NOW + 31}, "it is not valid yet"),
        ({"exp": NOW + 86400}, None),
        ({"exp": NOW + 86401}, "it has no id, or is valid for more than a day"),
        ({"jti": ""}, "it has no id, or is valid for more than a day"),
        ({"aud": [AUDIENCE]}, f"its audience is not {AUDIENCE}"),
        ({"aud": AUDIENCE.upper()}, f"its audience is not {AUDIENCE}"),
    ],
    ids=str,
)
def test_a_token_holds_to_the_second_with_half_a_minute_for_a_wrong_clock(
    claims: dict[str, Any], words: str | None
) -> None:
    """A token with a longer life than its note in used_tokens.py could be used again."""
    found = reason(token(**claims))
    assert found == (words and f"invalid-token: This ID token is not valid here: {words}.")


def test_the_longest_token_is_read_and_a_longer_one_is_not() -> None:
    """Before anything of it is decoded."""
    room = id_tokens.LARGEST - len(token(x=""))
    longest = next(
        made for size in range(room * 3 // 4, 0, -1) if len(made := token(x="x" * size)) <= id_tokens.LARGEST
    )
    assert len(longest) > id_tokens.LARGEST - 4
    assert reason(longest) is None
    longer = longest + "x" * (id_tokens.LARGEST + 1 - len(longest))
    assert "has more than 16384 characters" in str(reason(longer))


def test_an_issuer_that_mirror_toml_gives_keys_is_not_asked_for_others() -> None:
    """Whoever gives keys does not trust the issuer's address."""

    def forbidden(*_: str) -> None:
        raise AssertionError

    keys = {"keys": [jwk(KEY, kid="a")]}
    assert reason(token(), given(keys=keys), forbidden) is None
    other_id = {"keys": [jwk(KEY, kid="b")]}
    assert "no key with the id that it names" in str(reason(token(), given(keys=other_id), forbidden))
    others = {"keys": [jwk(OTHER_KEY, kid="a")]}
    assert "its signature is not one of its issuer" in str(reason(token(), given(keys=others), forbidden))


@pytest.mark.parametrize(
    "keys", [{}, [], "", 0, {"keys": []}, {"keys": [{"kty": "oct", "k": "AA", "kid": "a"}]}]
)
def test_keys_that_cannot_be_used_are_no_keys_and_no_reason_to_ask(keys: object) -> None:
    """They come by an import, or by root's own PUT: jobs are told, and the server does not fail."""

    def forbidden(issuer: str, kid: str) -> jwt.PyJWK | None:
        raise AssertionError(issuer, kid)

    assert "keys that mirror.toml has of its issuer cannot be used" in str(
        reason(token(), given(keys=keys), forbidden)
    )


def test_only_declared_issuers_are_asked_for_a_key_and_by_the_id_that_the_token_names() -> None:
    """Anybody can write an issuer into a token: to connect there would be their wish."""
    asked = []

    def remember(issuer: str, kid: str) -> None:
        asked.append((issuer, kid))

    assert "no publisher of this mirror has its issuer" in str(reason(token(iss="https://x"), find=remember))
    assert asked == []
    assert "no key with the id" in str(reason(token(kid="b"), find=remember))
    assert asked == [(ISSUER, "b")]


def test_nothing_of_a_malformed_token_is_in_the_answer() -> None:
    """Logs have it; the text may be a password that somebody sent by mistake."""
    for wrong in ("secret", "secret.secret.secret", token().replace(".", ".secret", 1)):
        assert reason(wrong) == "invalid-token: This ID token is not valid here: it is malformed."
