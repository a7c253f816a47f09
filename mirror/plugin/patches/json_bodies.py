"""Patch devpi to refuse JSON bodies of another form than it expects: with them it fails with a 500."""

from collections.abc import Callable
from typing import Any

from devpi_server import views
from devpi_server.views import abort

_STOCK: Callable[[Any], Any] = views.getjson
# What must be text, by route of a POST; the second one is a push.
_NEEDED: dict[str, tuple[str, ...]] = {
    "/+login": ("user", "password"),
    "/{user}/{index}": ("name", "version"),
    "/{user}/{index}/": ("name", "version"),
}
_EXTERNAL = ("posturl", "username", "password")


def apply() -> None:
    """Check bodies as they are read."""
    setattr(views, "getjson", getjson)  # noqa: B010 (so does mypy not mind)


def getjson(request: Any) -> Any:
    """The body of a request: an object, or changes of an index as a list of texts. Answers 400 otherwise."""
    body = _STOCK(request)
    route = request.matched_route.name
    may_be_changes = request.method == "PATCH" and "{index}" in route
    is_changes = isinstance(body, list) and all(isinstance(change, str) for change in body)
    if not (isinstance(body, dict) or (may_be_changes and is_changes)):
        abort(request, 400, "Bad request: the body is no JSON object")
    if request.method in {"POST", "PUSH"} and route in _NEEDED:
        needed = _NEEDED[route]
        if "{index}" in route:
            needed += _EXTERNAL if body.get("targetindex") is None else ("targetindex",)
        if wrong := [name for name in needed if not isinstance(body.get(name), str)]:
            abort(request, 400, f"Bad request: no text as {', '.join(wrong)}")
        if "posturl" in needed and not body["posturl"].lower().startswith(("https:", "http:")):
            abort(request, 400, "Bad request: posturl is no http or https URL")
    return body
