"""Logins for views of devpi's that need none in devpi; a refusal of plugins that limit who may read.

Who may read an index is declared in mirror.toml (mirror/plugin/access/readers.py): nginx serves what is for
everybody without a question, and knows nothing of another plugin's limits.
"""

import functools
from collections.abc import Callable
from typing import Any

from devpi_server.model import BaseStageCustomizer
from devpi_server.views import apiresult, json_preferred
from pyramid.httpexceptions import HTTPUnauthorized
from pyramid.security import forget
from pyramid.viewderivers import INGRESS

from mirror.plugin import compat
from mirror.plugin.access import tokens

# Names of devpi's views. Test results are kept for ever; a refresh makes the server ask its upstreams; a push
# makes it send files to any address, and shows what that answers. devpi itself guards the others that write.
_WRITES = {"post_toxresult", "simple_refresh", "pushrelease"}
_INTERNAL = {"user_list", "status"}  # users with their rights; the server's folders
_PEOPLE = {"simple_refresh", *_INTERNAL}  # for who logs in; a token is for packages alone

View = Callable[[Any, Any], Any]


def install(pyramid_config: Any) -> None:
    """Guard all views, devpi's and those of its plugins. On a replica, before it passes on a request."""
    pyramid_config.add_view_deriver(_guarded, name="packhorse_login", under=INGRESS)


def _guarded(view: View, info: Any) -> View:
    name = info.options.get("attr")
    if name not in _WRITES | _INTERNAL:
        return view

    def guarded(context: Any, request: Any) -> Any:
        is_upload = name == "pushrelease" and not tokens.is_push(request)
        if not is_upload and request.authenticated_userid is None:
            return _unauthorized(request)
        if name in _PEOPLE and tokens.is_token(request):
            return apiresult(403, "a token may not do this")
        return view(context, request)

    return guarded


def root_only(view: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`view` for root; 401 or 403 for everybody else, and for tokens, which are for packages alone."""

    @functools.wraps(view)
    def guarded(request: Any) -> Any:
        if request.authenticated_userid != "root" or tokens.is_token(request):
            return apiresult(
                403 if request.authenticated_userid else 401, "only root may see and change this"
            )
        return view(request)

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
            'Uninstall it, and name the users that may read an index in mirror.toml: read = ["NAME"].'
        )
