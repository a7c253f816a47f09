"""Refusal of an upload in words, which clients show."""

from typing import Any

from pyramid.response import Response
from pyramid.security import forget

from mirror.plugin import responses


def answer(request: Any) -> Response:
    """Answer 403 to a user without the permission, 401 to a login that is missing or wrong."""
    user, index = request.authenticated_userid, request.context.stage.name
    if user:
        return _answer(403, f"{user} may not upload to {index}: acl_upload in mirror.toml says who may")
    has_login = request.environ.keys() & {"HTTP_AUTHORIZATION", "HTTP_X_DEVPI_AUTH"}
    refused = _answer(401, "wrong user, password or token" if has_login else f"log in to upload to {index}")
    refused.headers.update(forget(request))
    return refused


def _answer(status: int, text: str) -> Response:
    return Response(f"{text}\n", status=responses.status_line(status, text), content_type="text/plain")
