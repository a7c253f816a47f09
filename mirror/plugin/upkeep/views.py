"""GET /+cached-files: which files rules would remove; POST, also /+damaged-files: remove some. For root."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

import msgspec
from devpi_server.views import apiresult

from mirror.plugin.admin import logins
from mirror.plugin.files import last_use
from mirror.plugin.upkeep import selection
from mirror.plugin.upkeep.cached_files import CachedFiles
from mirror.plugin.upkeep.removal import Removal
from mirror.plugin.upkeep.selection import Rules


def install(pyramid_config: Any, cached: CachedFiles, removal: Removal) -> None:
    """Add the address."""
    route = "packhorse cached files"
    pyramid_config.add_route(route, "/+cached-files")
    choosing = for_root(
        Rules, lambda rules, xom: _choose(cached, rules, offline=bool(xom.config.offline_mode))
    )
    removing = for_root(dict[str, float], lambda asked, _: _remove(cached, removal, asked))
    for method, view in (("GET", choosing), ("POST", removing)):
        pyramid_config.add_view(view, route_name=route, request_method=method)
    # The same under another name, so that the audit log tells `mirror check --repair` from `mirror prune`.
    pyramid_config.add_route("packhorse damaged files", "/+damaged-files")
    pyramid_config.add_view(removing, route_name="packhorse damaged files", request_method="POST")


def for_root(kind: Any, view: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
    """`view` of the body of a request, which is of this `kind`, on a primary."""

    @logins.root_only
    def guarded(request: Any) -> Any:
        if request.registry["xom"].is_replica():
            return apiresult(409, "this is a replica: look after its primary, which it follows")
        try:
            body = msgspec.json.decode(request.body or b"null", type=kind)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            return apiresult(400, f"Bad request: {error}")
        return apiresult(200, result=view(body, request.registry["xom"]), type="cached files")

    return guarded


def _choose(cached: CachedFiles, rules: Rules, *, offline: bool) -> dict[str, Any]:
    """The files that `rules` choose, those that they spare as withdrawn, and what all take."""
    known = cached.all()
    chosen = selection.to_remove(known, rules)
    all_chosen = selection.to_remove(known, replace(rules, only_listed=False))
    return {
        "offline": offline,
        "last_use_is_kept": last_use.is_kept(cached.root),
        "files": len(known),
        "bytes": sum(each.size for each in known),
        "chosen": [asdict(each) for each in chosen],
        "spared": [asdict(each) for each in all_chosen if not each.listed and each not in chosen],
    }


def _remove(cached: CachedFiles, removal: Removal, asked: Mapping[str, float]) -> list[str]:
    """Remove the files `asked` for, devpi's paths and their last use, unless they were used since.

    The paths of what is gone.
    """
    files = [file for file in cached.find(asked) if file.used <= asked[file.path]]
    return [file.path for file in removal.remove(files)]
