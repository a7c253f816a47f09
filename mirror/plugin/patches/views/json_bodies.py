"""Patch devpi to refuse JSON bodies of another form than it expects: with them it fails with a 500."""

import re
from collections.abc import Callable
from typing import Any

from devpi_server import views
from devpi_server.views import abort

from mirror.plugin.audit.requests import LARGEST_JSON
from mirror.plugin.patches import replace_members

_STOCK: Callable[[Any], Any] = views.getjson
# What must be there, by route of a POST; the second one is a push.
_NEEDED: dict[str, tuple[str, ...]] = {
    "/+login": ("user", "password"),
    "/{user}/{index}": ("name", "version"),
    "/{user}/{index}/": ("name", "version"),
}
_EXTERNAL = ("posturl", "username", "password")
# What must be text where it is there.
_TEXTS = {"user", "email", "name", "version", "targetindex", *_EXTERNAL}
_ROUTES = {*_NEEDED, "/{user}", "/{user}/"}


def apply() -> None:
    """Check bodies as they are read."""
    replace_members(views, getjson=getjson)


def getjson(request: Any) -> Any:
    """The body of a request: an object, or changes of an index as a list of texts. Answers 400 otherwise."""
    if (request.content_length or 0) > LARGEST_JSON:
        abort(request, 413, f"The body has more than {LARGEST_JSON} bytes")
    try:
        body = _STOCK(request)
    except (LookupError, RecursionError):  # of a charset that nobody knows, of thousands of "["
        abort(request, 400, "Bad request: could not decode json")
    matched = getattr(request, "matched_route", None)  # pyramid sets it for requests that have a route
    route = matched.name if matched else ""
    may_be_changes = request.method == "PATCH" and "{index}" in route
    is_changes = isinstance(body, list) and all(isinstance(change, str) for change in body)
    if not (isinstance(body, dict) or (may_be_changes and is_changes)):
        abort(request, 400, "Bad request: the body is no JSON object")
    if isinstance(body, dict) and route in _ROUTES:
        needed = _needed(request.method, route, body)
        wrong = [name for name in needed if body.get(name) is None]
        wrong += [name for name in _TEXTS & body.keys() if not _is_text(body[name])]
        if wrong:
            abort(request, 400, f"Bad request: no text as {', '.join(sorted(set(wrong)))}")
        if "posturl" in needed and not body["posturl"].lower().startswith(("https:", "http:")):
            abort(request, 400, "Bad request: posturl is no http or https URL")
    return body


def _needed(method: str, route: str, body: dict[str, Any]) -> tuple[str, ...]:
    if method not in {"POST", "PUSH"} or route not in _NEEDED:
        return ()
    is_external = "{index}" in route and body.get("targetindex") is None
    return _NEEDED[route] + (_EXTERNAL if is_external else ())


def _is_text(value: object) -> bool:
    """Whether it is text, or nothing: JSON may have half of a surrogate pair, which no database takes."""
    if isinstance(value, str):
        return not re.search("[\ud800-\udfff]", value)
    return value is None
