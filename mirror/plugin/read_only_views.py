"""Refuse writes by views that name no method: they read, and devpi's would answer DELETE and PUT with 200.

The audit log and webhooks would tell of changes that nobody has made, and all who write would wait for them.
"""

from collections.abc import Callable
from typing import Any

from pyramid.httpexceptions import HTTPMethodNotAllowed
from pyramid.predicates import RequestMethodPredicate

READS = frozenset({"GET", "HEAD"})

View = Callable[[Any, Any], Any]


def install(pyramid_config: Any) -> None:
    """Hold for all views, those of devpi and of other plugins, too."""
    pyramid_config.add_view_deriver(reading, name="packhorse reading")


def reading(view: View, info: Any) -> View:
    """`view`, or one that answers 405 to what writes, unless it or its route names the methods."""
    if info.exception_only or _names_methods(info.predicates):
        return view

    def read(context: Any, request: Any) -> Any:
        route = getattr(request, "matched_route", None)
        if request.method not in READS and not (route and _names_methods(route.predicates)):
            raise HTTPMethodNotAllowed(headers={"Allow": "GET, HEAD"})
        return view(context, request)

    return read


def _names_methods(predicates: Any) -> bool:
    return any(isinstance(each, RequestMethodPredicate) for each in predicates)
