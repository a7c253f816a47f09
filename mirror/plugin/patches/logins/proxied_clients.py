"""Let a primary know the client for whom a replica asks: else all who use a replica would be one to it.

devpi's replicas pass changes and logins on, with the client's own headers. Ours add one that only a replica
can sign; from a client itself it proves nothing, and counts for nothing.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import itsdangerous
from devpi_server import replica

from mirror.plugin.access import clients
from mirror.plugin.patches import replace_members

HEADER = "X-Packhorse-Client"
SECONDS = 60  # that a signature holds; where clocks differ by more, the replica itself is the client
_SALT = "packhorse.client"  # devpi signs other things with the same secret
_STOCK: Callable[..., Any] = replica.proxy_request_to_primary


def apply() -> None:
    """Have replicas state their clients."""

    def proxy_request_to_primary(xom: Any, request: Any, cstack: Any) -> Any:
        # In the place of what the client may have sent under this name.
        request.headers[HEADER] = _signer(xom).dumps(clients.of_request(request))
        return _STOCK(xom, request, cstack)

    replace_members(replica, proxy_request_to_primary=proxy_request_to_primary)


def of_request(request: Any) -> str:
    """Name of the client that sent a request, to a replica of this server maybe."""
    stated = request.headers.get(HEADER)
    if stated is not None and not (xom := request.registry["xom"]).is_replica():
        with contextlib.suppress(itsdangerous.BadData):
            return str(_signer(xom).loads(stated, max_age=SECONDS))
    return clients.of_request(request)


def _signer(xom: Any) -> itsdangerous.URLSafeTimedSerializer:
    return itsdangerous.URLSafeTimedSerializer(xom.config.get_replica_secret(), salt=_SALT)
