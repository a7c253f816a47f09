"""Bearer tokens (RFC 6750), and how many requests each caller may send."""

from typing import NoReturn

from flask import current_app, request
from sqlalchemy import select
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from sample_app.extensions import client_network, db, limiter
from sample_app.models import Token, User, digest

CALLER = "sample_app.api.caller"


def caller() -> User | None:
    """The user whose token came along; looked up once for each request."""
    if CALLER not in request.environ:
        given = request.authorization
        secret = given.token if given and given.type == "bearer" else None
        token = db.session.scalar(select(Token).where(Token.digest == digest(secret))) if secret else None
        request.environ[CALLER] = token.user if token else None
    found: User | None = request.environ[CALLER]
    return found


def needed() -> User:
    """The caller, or 401."""
    return caller() or _challenge("Send a token: `Authorization: Bearer ...`.")


def check() -> None:
    """Refuse a wrong token, also where none is needed: its owner wants to know."""
    if "Authorization" in request.headers and caller() is None:
        _challenge("This token is not known.", error="invalid_token")


def _rate() -> str:
    return f"{current_app.config['SETTINGS'].api_rate} per minute"


def _who() -> str:
    """Wrong tokens count for the address: making up new ones must not help."""
    user = caller()
    return f"user {user.id}" if user else client_network()


@limiter.shared_limit(
    _rate, scope="api", key_func=_who, error_message="Too many requests: `Retry-After` says when to go on."
)
def limit() -> None:
    """Count this request."""


def _challenge(text: str, **parameters: str | None) -> NoReturn:
    raise Unauthorized(
        text, www_authenticate=WWWAuthenticate("bearer", {"realm": "Link board API", **parameters})
    )
