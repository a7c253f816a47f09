"""POST /USER/INDEX/+read-token: a token that reads this index, and its bases, for an hour.

Clients hand it to what they start (installers, hosts of a deploy) in the place of the login that they have.
Who logs in with a password gets one of the user's root for reading; who shows a token gets that with limits
added.
"""

import time
from typing import Any

from devpi_tokens import server
from pyramid.httpexceptions import HTTPUnauthorized
from pyramid.response import Response
from pyramid.security import forget

from mirror.plugin.access import readers, root_tokens, tokens

LIFE = 3600  # seconds
ROUTE = "packhorse read token"


def install(pyramid_config: Any) -> None:
    """Add the address. On a replica, devpi lets its primary answer."""
    pyramid_config.add_route(ROUTE, "/{user:[^+/]+}/{index:[^+/]+}/+read-token")
    pyramid_config.add_view(mint, route_name=ROUTE, request_method="POST")


def mint(context: Any, request: Any) -> Any:
    """{"token", "expires": seconds since 1970}. Raises HTTPUnauthorized, HTTPForbidden, HTTPNotFound."""
    identity = request.identity
    if identity is None:
        raise HTTPUnauthorized("Log in to get a token for reading.", headers=forget(request))
    stage = context.stage
    if not request.has_permission("pkg_read"):
        raise tokens.refused(f"This login may not read {stage.name}.")
    if not tokens.reads_all(identity):
        raise tokens.refused("This token reads less than an index; none for reading is made of it.")
    until = int(time.time()) + LIFE
    until = min(until, tokens.expires(identity) or until)
    limits = [f"expires={until}", f"indexes={stage.name}"]
    if tokens.is_token(request):
        made = root_tokens.narrowed(identity.token, ["allowed=pkg_read", *limits])
    else:
        made = root_tokens.derive(request, _user(request, stage), root_tokens.READING, limits).token
    answer = Response(json={"token": made, "expires": until})
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _user(request: Any, stage: Any) -> Any:
    """devpi's user of a login with a password. Raises HTTPForbidden for one whose token would not read."""
    name = request.identity.username
    user = request.registry["xom"].model.get_user(name)
    if user is None:  # of a plugin for logins
        raise tokens.refused(f"{name} is no user of this server's own, and so has no tokens.")
    if not readers.may_read(stage, server.TokenIdentity(name, "")):
        raise tokens.refused(f"{name} reads {stage.name} as one of a group; tokens are of no group.")
    return user
