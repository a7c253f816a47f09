"""Refresh a project on request: forget how fresh its page is, so that the next client has the upstream asked.

devpi asks the upstream inside the request's write transaction: a slow one would hold up all uploads.
"""

from typing import Any

from devpi_server import views
from pyramid.httpexceptions import HTTPFound

from mirror.plugin.patches import replace_members
from mirror.plugin.upstream.mirror_stage import CachingStage


def apply() -> None:
    """Answer POST /user/index/+simple/project/refresh with the address of the page, at once."""
    replace_members(views.PyPIView, simple_refresh=_simple_refresh)


def _simple_refresh(self: Any) -> HTTPFound:
    context = self.context
    for stage in context.stage.sro():
        if isinstance(stage, CachingStage):
            stage.clear_simplelinks_cache(context.project)
            stage.expire(context.project)
    parts = {"user": context.username, "index": context.index, "project": context.project}
    return HTTPFound(self.request.route_url("/{user}/{index}/+simple/{project}/", **parts))
