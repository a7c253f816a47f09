"""Exception views: errors of upstreams and of the disk as answers, in JSON for clients that prefer it."""

import errno
from typing import Any

from devpi_server.model import BaseStage
from devpi_server.views import apiresult, json_preferred
from pyramid.response import Response

from mirror.plugin import responses
from mirror.plugin.upstream.client import GatewayError

_STATUS = {errno.ENAMETOOLONG: 400, errno.ENOSPC: 507, errno.EDQUOT: 507}


def install(pyramid_config: Any) -> None:
    """Add them for all views, devpi's own included."""
    pyramid_config.add_exception_view(gateway_error, context=GatewayError)
    pyramid_config.add_exception_view(storage_error, context=OSError)
    pyramid_config.add_exception_view(not_found, context=BaseStage.UpstreamNotFoundError)


def gateway_error(error: GatewayError, request: Any) -> Any:
    """The answer when an upstream did not give what was asked."""
    answer = _answer(request, error.status, error.text)
    answer.headers.update({**error.headers, "Cache-Control": "no-store"})
    return answer


def not_found(error: Exception, request: Any) -> Any:
    """The answer to a push or a refresh of a project that the upstream does not have."""
    return _answer(request, 404, str(error))


def storage_error(error: OSError, request: Any) -> Any:
    """The answer to an upload that finds no room, or whose name is too long for a disk."""
    if error.errno not in _STATUS:
        raise error
    return _answer(request, _STATUS[error.errno], f"This cannot be stored: {error.strerror}.")


def _answer(request: Any, status: int, text: str) -> Any:
    """Keep nothing that the request began, and say why; upstreams' words only where no browser reads HTML."""
    request.registry["xom"].keyfs.tx.doom()
    if json_preferred(request):
        return apiresult(status, text)
    return Response(f"{text}\n", status=responses.status_line(status, text), content_type="text/plain")
