"""GET /+granted/USER/INDEX: where nginx finds what a client may read, for its auth_request.

The answer names the secret folder of protected pages and files (pages/store.py). nginx keeps it for a while,
by index and login; it cannot outlive a right, as the folder then has another name.
"""

import time
from typing import Any

from pyramid.response import Response

from mirror.plugin.access import readers, tokens

ADDRESS = "/+granted/"
NOTED = "packhorse.granted"  # in the environment of WSGI, noted before the transaction began
SECONDS = 60  # also what a login of another service (LDAP) can be late by


def install(pyramid_config: Any) -> None:
    """Add the address; as it names an index, only who may read that gets to the view."""
    pyramid_config.add_route("packhorse granted", f"{ADDRESS}{{user:[^+/]+}}/{{index:[^+/]+}}")
    pyramid_config.add_view(show, route_name="packhorse granted", request_method="GET")


def show(context: Any, request: Any) -> Any:
    """Nothing but headers, of which nginx shows none to clients."""
    seconds = SECONDS
    answer = Response(content_type="text/plain")
    if readers.is_protected(context.stage) and tokens.reads_all(request.identity):
        answer.headers["X-Packhorse-Granted"] = request.environ[NOTED]
        expires = tokens.expires(request.identity)
        seconds = SECONDS if expires is None else min(SECONDS, int(expires - time.time()))
    answer.headers["X-Accel-Expires"] = str(max(0, seconds))
    return answer
