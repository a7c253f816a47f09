"""Conditional requests (RFC 9110, section 13): ETag and 304, If-Match with 412 and 428."""

import hashlib

from flask import Response, request
from pydantic import BaseModel
from werkzeug.exceptions import PreconditionFailed, PreconditionRequired


def etag(text: str) -> str:
    """A tag of these very bytes."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def finish(response: Response, text: str) -> Response:
    """Tag `response`, whose body is `text`: 304 for who has that already, 412 for who wants another one."""
    response.set_etag(etag(text))
    if request.method in {"GET", "HEAD"} and "If-Match" in request.headers:
        _match(text)
    response.make_conditional(request)
    return response


def require() -> None:
    """Refuse a change that doesn't say which state it is meant for, with 428 (RFC 6585)."""
    if "If-Match" not in request.headers:
        msg = "Send the ETag of what you change as `If-Match`, so that nobody's change is lost."
        raise PreconditionRequired(msg)


def check(shown: BaseModel) -> None:
    """Refuse a change that is meant for another state than `shown`, with 412."""
    _match(shown.model_dump_json())


def _match(text: str) -> None:
    if not request.if_match.contains(etag(text)):
        msg = "This is not what it was when you got it: get it again."
        raise PreconditionFailed(msg)
