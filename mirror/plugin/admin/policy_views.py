"""GET and PUT /+policies: the policies in force, for root; `mirror init` declares them."""

import json
from typing import Any

from devpi_server.views import apiresult, getjson

from mirror.plugin import reservations
from mirror.plugin.admin import access
from mirror.plugin.guards import declared, why_views
from mirror.plugin.policy.evaluation import UnreadableRule


def install(pyramid_config: Any) -> None:
    """Add the address."""
    pyramid_config.add_route("packhorse policies", "/+policies")
    for method, view in (("GET", show), ("PUT", declare)):
        pyramid_config.add_view(view, route_name="packhorse policies", request_method=method)


@access.root_only
def show(request: Any) -> Any:
    """The policies as mirror.toml has them, in words, and the reserved names."""
    keyfs = request.registry["xom"].keyfs
    found = declared.read(keyfs)
    return apiresult(
        200,
        result={
            "settings": declared.settings(keyfs),
            "rules": list(why_views.described(list(found.policies.values()))),
            "reserved": sorted(reservations.records(keyfs)),
        },
        type="policies",
    )


@access.root_only
def declare(request: Any) -> Any:
    """Put policies in force; pages and files follow at once."""
    settings = getjson(request)
    if not isinstance(settings, dict) or not all(isinstance(each, dict) for each in settings.values()):
        return apiresult(400, "policies are tables by the names of indexes")
    found = declared.parse(json.dumps(settings)).policies.values()
    unreadable = [rule for policy in found for rule in policy.rules if isinstance(rule, UnreadableRule)]
    if unreadable:
        return apiresult(400, "; ".join(f"{rule.name} {rule.describe()}" for rule in unreadable))
    declared.declare(request.registry["xom"].keyfs, settings)
    return apiresult(200, "declared the policies")
