"""Check passwords before devpi's write transaction begins, of which there is one at a time.

devpi asks who a client is, and answers POST /+login, inside of it: who guesses passwords would let uploads
wait for each check, from many addresses for as long as it pleases.
"""

import contextlib
from collections.abc import Callable
from typing import Any

from devpi_server.views import is_mutating_http_method
from pyramid.httpexceptions import HTTPException, HTTPForbidden
from pyramid.interfaces import ISecurityPolicy

from mirror.plugin.audit import tween

Handler = Callable[[Any], Any]


def install(pyramid_config: Any) -> None:
    """Add the tween, outside of devpi's transaction and inside of what records denials."""
    above = (tween.LOGGING, tween.RECORDING)
    pyramid_config.add_tween(f"{__name__}.checking", under=above, over=tween.TRANSACTION)


def checking(handler: Handler, registry: Any) -> Handler:
    """Check what a request that writes states; login_throttle.py remembers on it what was wrong.

    What was right is checked again by devpi, and then known (password_cache.py). A replica writes nothing.
    """
    xom = registry["xom"]

    def check(request: Any) -> Any:
        auth = registry.getUtility(ISecurityPolicy).auth
        # A plugin's user would be created by the check.
        if is_mutating_http_method(request.method) and not (xom.is_replica() or auth.autocreate_users):
            try:
                with xom.keyfs.read_transaction():
                    _check(request, registry.getUtility(ISecurityPolicy))
            except HTTPForbidden:
                pass  # of a token, whose limits are known when the request has its route: asked again there
            except HTTPException as refusal:
                return refusal
        return handler(request)

    return check


def _check(request: Any, policy: Any) -> None:
    if request.environ["PATH_INFO"] == "/+login":
        with contextlib.suppress(ValueError, LookupError, RecursionError):  # no JSON, as the view says
            login = request.json_body
            if isinstance(login, dict):
                policy.auth._validate(login.get("user"), login.get("password"), request=request)  # noqa: SLF001
    policy.load_identity(request)  # last: it raises for a token that is refused
