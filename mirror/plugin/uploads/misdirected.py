"""POST /user/index/+simple/: say where uploads go, to those who gave twine the address of installers."""

from typing import Any

from devpi_server.views import abort_submit


def install(pyramid_config: Any) -> None:
    """Add the address."""
    route = "packhorse misdirected upload"
    pattern = "/{user:[^+/]+}/{index:[^+/]+}/+simple{slash:/?}"
    pyramid_config.add_route(route, pattern, request_method="POST")
    pyramid_config.add_view(refuse, route_name=route)


def refuse(context: Any, request: Any) -> Any:
    """404 as devpi answers, in words: twine shows the status line, in which nothing of the client may be."""
    abort_submit(request, 404, f"uploads go to /{context.stage.name}/, without +simple, which installers use")
