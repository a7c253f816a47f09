"""Forged, borrowed and broken ID tokens, each with the beginning of what who sends it should see."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.support.issuer import EC_KEY, KEYS, RSA_KEY, Issuer, jwk, public_pem
from tests.support.publishing import AUDIENCE

NOT_VALID = "This ID token is not valid here: "
OTHER_RSA, OTHER_EC = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())
Make = Callable[[Issuer, Issuer], object]  # a token, of the declared issuer and another one


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def signed_by_public_key(issuer: Issuer, _: Issuer) -> str:
    """HS256 with what everybody has as the secret (CVE-2015-9256 and such)."""
    head = f"{part({'alg': 'HS256', 'typ': 'JWT', 'kid': 'rsa'})}.{part(issuer.claims(AUDIENCE))}"
    digest = hmac.digest(public_pem(RSA_KEY), head.encode(), hashlib.sha256)
    return f"{head}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def forged(issuer: Issuer, **header: object) -> str:
    """All claims as they should be, signed with another key."""
    return jwt.encode(issuer.claims(AUDIENCE), OTHER_RSA, "RS256", headers={"kid": "rsa", **header})


def with_header(issuer: Issuer, algorithm: str = "RS256", key: Any = RSA_KEY, **header: object) -> str:  # noqa: ANN401
    return jwt.encode(issuer.claims(AUDIENCE), key, algorithm, headers=header)


def raw(issuer: Issuer, header: object, **claims: object) -> str:
    """A token as JSON has it, signed by the issuer: PyJWT makes none with claims of wrong types."""
    head = f"{part(header)}.{part({**issuer.claims(AUDIENCE), **claims})}"
    signature = jwt.algorithms.RSAAlgorithm(jwt.algorithms.RSAAlgorithm.SHA256).sign(head.encode(), RSA_KEY)
    return f"{head}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def typed(**claims: object) -> Make:
    return lambda issuer, _: raw(issuer, {"alg": "RS256", "kid": "rsa"}, **claims)


def claimed(**claims: Any) -> Make:  # noqa: ANN401 (JSON)
    return lambda issuer, _: issuer.token(AUDIENCE, **claims)


def now(seconds: int) -> int:
    return int(time.time()) + seconds


def timed(**seconds: int) -> Make:
    """Claims that are times, counted from when the token is made: the test may run an hour after this."""

    def make(issuer: Issuer, _: Issuer) -> object:
        claims: dict[str, Any] = {claim: now(span) for claim, span in seconds.items()}
        return issuer.token(AUDIENCE, **claims)

    return make


UNDECLARED = "The token is valid, but no publisher is declared for it: "
UNSIGNED = f"{NOT_VALID}it is not signed by RS256 or ES256 with a key that it names."
MALFORMED = f"{NOT_VALID}it is malformed."
NO_TOKEN = 'The body is no JSON object with an ID token in "token".'
FORK = "evil/web/.github/workflows/release.yml@refs/tags/v1.0"
OTHER_BRANCH = "acme/web/.github/workflows/release.yml@refs/heads/evil"
# What is sent, and the beginning of what the client saw; always with status 422.
ATTACKS: Mapping[str, tuple[Make, str]] = MappingProxyType(
    {
        "of another repository": (claimed(repository="evil/web"), f'{UNDECLARED}repository "evil/web"'),
        "of a repository in other case": (claimed(repository="Acme/Web"), UNDECLARED),
        "of a repository in other case with the right workflow": (
            claimed(
                repository="Acme/Web",
                job_workflow_ref="acme/web/.github/workflows/release.yml@refs/tags/v1.0",
            ),
            UNDECLARED,
        ),
        "of a repository with a suffix": (claimed(repository="acme/web-evil"), UNDECLARED),
        "of a repository with a prefix": (claimed(repository="evil/acme/web"), UNDECLARED),
        "of a repository with a space": (claimed(repository="acme/web "), UNDECLARED),
        "of another workflow": (
            claimed(job_workflow_ref="acme/web/.github/workflows/test.yml@refs/tags/v1.0"),
            UNDECLARED,
        ),
        "of a workflow in a fork": (claimed(job_workflow_ref=FORK), UNDECLARED),
        "of a fork": (claimed(repository="evil/web", job_workflow_ref=FORK), UNDECLARED),
        "of a workflow on another branch": (claimed(job_workflow_ref=OTHER_BRANCH), UNDECLARED),
        "of a workflow with a longer name": (
            claimed(job_workflow_ref="acme/web/.github/workflows/release.yml.evil@refs/tags/v1.0"),
            UNDECLARED,
        ),
        "without a workflow": (claimed(job_workflow_ref=None), UNDECLARED),
        "without ref and sha": (claimed(ref=None, sha=None, job_workflow_ref="x@None"), UNDECLARED),
        "expired": (timed(iat=-900, nbf=-900, exp=-60), f"{NOT_VALID}it has expired."),
        "not yet valid": (timed(nbf=300), f"{NOT_VALID}it is not valid yet."),
        "issued in the future": (timed(iat=300), f"{NOT_VALID}it is not valid yet."),
        "valid for a year": (timed(exp=365 * 86400), f"{NOT_VALID}it has no id, or is valid for"),
        "algorithm none": (
            lambda issuer, _: jwt.encode(issuer.claims(AUDIENCE), "", "none", headers={"kid": "rsa"}),
            UNSIGNED,
        ),
        "algorithm None": (
            lambda issuer, _: f"{part({'alg': 'None', 'kid': 'rsa'})}.{part(issuer.claims(AUDIENCE))}.",
            UNSIGNED,
        ),
        "without a signature": (
            lambda issuer, _: f"{issuer.token(AUDIENCE).rpartition('.')[0]}.",
            f"{NOT_VALID}its signature is not one of its issuer.",
        ),
        "HS256 with the public key": (signed_by_public_key, UNSIGNED),
        "ES256 by the RSA key's id": (
            lambda issuer, _: with_header(issuer, "ES256", EC_KEY, kid="rsa"),
            MALFORMED,
        ),
        "RS512": (lambda issuer, _: with_header(issuer, "RS512", kid="rsa"), UNSIGNED),
        "for another audience": (
            lambda issuer, _: issuer.token("pypi"),
            f"{NOT_VALID}its audience is not {AUDIENCE}.",
        ),
        "for two audiences": (
            claimed(aud=[AUDIENCE, "other"]),
            f"{NOT_VALID}its audience is not {AUDIENCE}.",
        ),
        "without an audience": (claimed(aud=None), f"{NOT_VALID}it lacks the claim aud."),
        "without an expiry": (claimed(exp=None), f"{NOT_VALID}it lacks the claim exp."),
        "without an id": (claimed(jti=None), f"{NOT_VALID}it lacks the claim jti."),
        "of another issuer": (
            lambda _, evil: evil.token(AUDIENCE),
            f"{NOT_VALID}no publisher of this mirror has its issuer.",
        ),
        "of an issuer with a slash": (
            lambda issuer, _: issuer.token(AUDIENCE, iss=f"{issuer.url}/"),
            f"{NOT_VALID}no publisher of this mirror has its issuer.",
        ),
        "by another key": (
            lambda issuer, _: forged(issuer),
            f"{NOT_VALID}its signature is not one of its issuer.",
        ),
        "with a jku header": (
            lambda issuer, evil: forged(issuer, jku=f"{evil.url}{KEYS}"),
            f"{NOT_VALID}its signature is not one of its issuer.",
        ),
        "with a x5u header": (
            lambda issuer, evil: forged(issuer, x5u=f"{evil.url}{KEYS}"),
            f"{NOT_VALID}its signature is not one of its issuer.",
        ),
        "with its key in the header": (
            lambda issuer, _: forged(issuer, jwk=jwk(OTHER_RSA, "rsa")),
            f"{NOT_VALID}its signature is not one of its issuer.",
        ),
        "a URL as the key's id": (
            lambda issuer, evil: forged(issuer, kid=f"{evil.url}{KEYS}"),
            f"{NOT_VALID}its issuer has no key with the id that it names.",
        ),
        "a path as the key's id": (
            lambda issuer, _: forged(issuer, kid="../../../dev/null"),
            f"{NOT_VALID}its issuer has no key with the id that it names.",
        ),
        "a number as the key's id": (lambda issuer, _: raw(issuer, {"alg": "RS256", "kid": 1}), MALFORMED),
        "without a key's id": (lambda issuer, _: raw(issuer, {"alg": "RS256"}), UNSIGNED),
        "with a critical header": (
            lambda issuer, _: raw(issuer, {"alg": "RS256", "kid": "rsa", "crit": ["x"], "x": 1}),
            MALFORMED,
        ),
        "huge": (claimed(padding="x" * 16_000), f"{NOT_VALID}it has more than 16384 characters."),
        "a repository that is a list": (typed(repository=["acme/web"]), UNDECLARED),
        "a repository that is an object": (typed(repository={"acme/web": 1}), UNDECLARED),
        "a repository that is true": (typed(repository=True), UNDECLARED),
        "a workflow that is a list": (
            typed(job_workflow_ref=["acme/web/.github/workflows/release.yml@refs/tags/v1.0"]),
            UNDECLARED,
        ),
        "an audience that is a number": (typed(aud=1), f"{NOT_VALID}its audience is not {AUDIENCE}."),
        "an expiry that is text": (
            lambda issuer, _: typed(exp=str(now(300)))(issuer, issuer),
            f"{NOT_VALID}it has no id, or is valid for",
        ),
        "an expiry that is true": (typed(exp=True), f"{NOT_VALID}it has expired."),
        "an endless expiry": (typed(exp=float("inf")), MALFORMED),
        "an expiry that is no number": (typed(exp=float("nan")), MALFORMED),
        "an issuer that is a list": (lambda issuer, _: typed(iss=[issuer.url])(issuer, issuer), NOT_VALID),
        "an id that is a number": (typed(jti=7), MALFORMED),
        "an empty id": (typed(jti=""), f"{NOT_VALID}it has no id, or is valid for"),
        "a subject that is a list": (typed(sub=["x"]), MALFORMED),
        "no object inside": (lambda *_: f"{part({'alg': 'RS256', 'kid': 'rsa'})}.{part([1])}.eA", MALFORMED),
        "nested deeply": (
            lambda *_: (
                f"{part({'alg': 'RS256'})}.{base64.urlsafe_b64encode(b'[' * 9000).rstrip(b'=').decode()}.eA"
            ),
            MALFORMED,
        ),
        "no token": (lambda *_: "a password", MALFORMED),
        "nothing": (lambda *_: "", MALFORMED),
        "two dots": (lambda *_: "..", MALFORMED),
        "a list": (lambda *_: ["x"], NO_TOKEN),
        "null": (lambda *_: None, NO_TOKEN),
        "other letters": (lambda *_: "é.é.é", NO_TOKEN),
        "half of a character": (lambda *_: "\ud800", NO_TOKEN),
    }
)
