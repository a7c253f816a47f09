"""Conditional requests (RFC 9110, section 13): ETag and 304, If-Match with 412 and 428."""

import hashlib

from flask import request
from pydantic import BaseModel
from werkzeug.exceptions import PreconditionFailed, PreconditionRequired


def etag(text: str) -> str:
    """A tag of these very bytes."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def require() -> None:
    """Refuse a change that doesn't say which state it is meant for, with 428 (RFC 6585)."""
    if "If-Match" not in request.headers:
        msg = "Send the ETag of what you change as `If-Match`, so that nobody's change is lost."
        raise PreconditionRequired(msg)


def check(shown: BaseModel) -> None:
    """Refuse a change that is meant for another state than `shown`, with 412."""
    if not request.if_match.contains(etag(shown.model_dump_json())):
        msg = "This is not what it was when you got it: get it again."
        raise PreconditionFailed(msg)
