"""Verify an ID token (OpenID Connect, RFC 7519): signature, issuer, audience, times, and that it is new."""

import time
from collections.abc import Callable
from typing import Any

import jwt

from mirror.plugin.publishing import issuer_keys
from mirror.plugin.publishing.trusted_publishers import Claims, TrustedPublishers

LARGEST = 16 * 1024  # characters; those of CI jobs have two thousand
LEEWAY = 30  # seconds that the issuer's clock may be wrong
LONGEST_LIFE = 24 * 3600  # seconds; a token that was used is remembered for so long at most
# The only ones. A key verifies by one of them, which issuer_keys.py has chosen by its kind: a header can
# neither turn a public key into a shared secret (HS256) nor do without a signature (none). RFC 8725, 3.1.
ALGORITHMS = ("RS256", "ES256")
REQUIRED = ["iss", "sub", "aud", "exp", "iat", "jti"]

FindKey = Callable[[str, str], jwt.PyJWK | None]  # by issuer and key id


class RefusedError(Exception):
    """A token that is not taken: a code as the public index has them, and a text for its owner."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def verify(token: str, declared: TrustedPublishers, find: FindKey) -> Claims:
    """The claims of a token that one of the declared issuers has made for this mirror, and that holds now.

    `find` is asked for keys of declared issuers that have none in mirror.toml. Raises RefusedError.
    """
    if len(token) > LARGEST:
        raise _invalid(f"it has more than {LARGEST} characters")
    issuer = _read(token, {"verify_signature": False}).get("iss")
    if not isinstance(issuer, str) or not declared.knows(issuer):
        raise _invalid("no publisher of this mirror has its issuer")
    key = _key(token, issuer, declared, find)
    claims = _read(
        token,
        {"require": REQUIRED, "strict_aud": True},
        key=key,
        algorithms=[key.algorithm_name],
        audience=declared.audience,
        issuer=issuer,
        leeway=LEEWAY,
    )
    expires = claims["exp"]
    if not claims["jti"] or type(expires) not in {int, float} or expires > time.time() + LONGEST_LIFE:
        raise _invalid("it has no id, or is valid for more than a day")
    return claims


def _key(token: str, issuer: str, declared: TrustedPublishers, find: FindKey) -> jwt.PyJWK:
    """The key that its header names by `kid`; nothing else of a header leads anywhere (jku, x5u, jwk)."""
    header = jwt.get_unverified_header(token)
    kid = header.get("kid")
    if header.get("alg") not in ALGORITHMS or not isinstance(kid, str) or "crit" in header:
        raise _invalid(f"it is not signed by {' or '.join(ALGORITHMS)} with a key that it names")
    given = declared.keys(issuer)
    try:
        key = find(issuer, kid) if given is None else issuer_keys.parse_text(given).get(kid)
    except ValueError:  # of an export or of an earlier version: `mirror init` is told
        raise _invalid("the keys that mirror.toml has of its issuer cannot be used") from None
    if key is None:
        raise _invalid("its issuer has no key with the id that it names")
    return key


def _read(token: str, options: Any, **more: Any) -> Claims:
    try:
        claims: Claims = jwt.decode(token, options=options, **more)
    except jwt.InvalidAudienceError:
        raise _invalid(f"its audience is not {more.get('audience')}") from None
    except jwt.ExpiredSignatureError:
        raise _invalid("it has expired") from None
    except jwt.ImmatureSignatureError:
        raise _invalid("it is not valid yet") from None
    except jwt.InvalidSignatureError:
        raise _invalid("its signature is not one of its issuer") from None
    except jwt.MissingRequiredClaimError as error:
        raise _invalid(f"it lacks the claim {error.claim}") from None
    except (jwt.PyJWTError, AttributeError, TypeError, ValueError, OverflowError):
        # What was wrong may be a text of the token, which no log is to have.
        raise _invalid("it is malformed") from None
    return claims


def _invalid(reason: str) -> RefusedError:
    return RefusedError("invalid-token", f"This ID token is not valid here: {reason}.")
