"""Let users manage their own tokens (devpi-tokens), although only root may change users and indexes."""

from typing import Any

from devpi_server.view_auth import RootFactory
from pyramid.authorization import Allow

from mirror.plugin.patches import replace_members

_STOCK: Any = vars(RootFactory)["__acl__"]  # a lazy attribute
# The views of devpi-tokens, which ask for the permission to modify the user.
ROUTES = {"user-token-create", "user-token-delete", "user-tokens"}


def apply() -> None:
    """Let who is named in the address of such a view call it. With a token nobody may: denials come first."""
    replace_members(RootFactory, __acl__=property(_acl))


def _acl(context: Any) -> tuple[Any, ...]:
    acl: tuple[Any, ...] = _STOCK.__get__(context, RootFactory)  # made once for each request
    route = context.request.matched_route
    if route is None or route.name not in ROUTES:
        return acl
    return (*acl, (Allow, context.username, "user_modify"))
