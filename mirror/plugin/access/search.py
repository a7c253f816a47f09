"""Protection of the search: devpi-web names projects of all indexes in one answer, protected ones among them.

To leave out some of what it finds would not do, as it counts them. So a search is for who may read all.
"""

from typing import Any

from pyramid.events import ContextFound
from pyramid.httpexceptions import HTTPForbidden, HTTPUnauthorized
from pyramid.security import forget

from mirror.plugin.access import readers, tokens

_ROUTE = "search"  # devpi-web's, at /+search


def install(pyramid_config: Any) -> None:
    """Ask before the view, which is there when devpi-web is."""
    pyramid_config.add_subscriber(lambda event: _guard(event.request), ContextFound)


def _guard(request: Any) -> None:
    """Raise HTTPUnauthorized or HTTPForbidden; a token is for the indexes that it names."""
    if getattr(request.matched_route, "name", "") != _ROUTE:
        return
    protected = readers.READERS.read(request.registry["xom"].keyfs)
    if not protected:
        return
    request.add_response_callback(readers.keep_private)
    if request.identity is None:
        raise HTTPUnauthorized("Log in to search.", headers=forget(request))
    if tokens.is_token(request) or not readers.reads_each(protected.values(), request.identity):
        raise HTTPForbidden("The search shows all indexes: it is for users who may read all of them.")
