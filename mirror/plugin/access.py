"""Which requests need a login: all that write, and those that list users, rights and the server's folders.

Reading packages needs none: pages and files are served from disk, also by nginx, and ask nobody.
"""

from collections.abc import Callable
from typing import Any

from devpi_server.model import BaseStageCustomizer
from devpi_server.views import apiresult, json_preferred
from pyramid.httpexceptions import HTTPUnauthorized
from pyramid.security import forget
from pyramid.viewderivers import INGRESS

from mirror.plugin import compat

_READS = {"GET", "HEAD", "OPTIONS"}
# Names of devpi's routes: a login cannot need a login; +authcheck asks about another request.
_OPEN = {"/+login", "/+authcheck"}
# Users, what they may do, and folders of the server. devpi-web's pages at these addresses show less.
_INTERNAL = {"/", "/{user}", "/{user}/", "/+status"}

View = Callable[[Any, Any], Any]


def install(pyramid_config: Any) -> None:
    """Guard all views, devpi's and those of its plugins. On a replica, before it passes on a request."""
    pyramid_config.add_view_deriver(_guarded, name="packhorse_login", under=INGRESS)


def _guarded(view: View, info: Any) -> View:
    is_json = info.options.get("accept") == "application/json"

    def guarded(context: Any, request: Any) -> Any:
        route = request.matched_route.name if request.matched_route else None
        is_internal = is_json and route in _INTERNAL
        is_write = request.method not in _READS and route not in _OPEN
        if (is_internal or is_write) and request.authenticated_userid is None:
            return _unauthorized(request)
        return view(context, request)

    return guarded


def _unauthorized(request: Any) -> Any:
    request.registry["xom"].keyfs.tx.doom()
    answer = (
        apiresult(401, "log in first: devpi login USER") if json_preferred(request) else HTTPUnauthorized()
    )
    answer.headers.update(forget(request))
    return answer


def refuse_private_reads(config: Any) -> None:
    """Raise devpi's Fatal when a plugin limits who may read an index: nothing here would keep to it."""
    hook = config.hook.devpiserver_stage_get_principals_for_pkg_read
    plugins = [implementation.plugin_name for implementation in hook.get_hookimpls()]
    name = "get_principals_for_pkg_read"
    plugins += [
        customizer.__module__
        for customizers in config.hook.devpiserver_get_stage_customizer_classes()
        for _, customizer in customizers
        if getattr(customizer, name, None) not in {None, vars(BaseStageCustomizer)[name]}
    ]
    if plugins:
        compat.fatal(
            f"{', '.join(plugins)} limits who may read an index (pkg_read), which is not supported:\n"
            "pages and files are public here. Uninstall it, or let a web server in front ask for a login."
        )
