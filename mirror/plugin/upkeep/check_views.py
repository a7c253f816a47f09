"""GET /+stored-files: devpi's records; /+stored-pages: which pages are untrue; POST: mend some. For root."""

from typing import Any, NamedTuple

import msgspec

from mirror.plugin.pages.store import PageKey
from mirror.plugin.pages.views import PageViews
from mirror.plugin.upkeep.stored_files import StoredFiles
from mirror.plugin.upkeep.views import for_root
from mirror.plugin.upstream.page_cache import PageCache


class Page(NamedTuple):
    """A rendered page: index, project, and one of KINDS."""

    on: str  # "user/name"
    project: str
    kind: str


class Mending(msgspec.Struct):
    """Files to quarantine, and projects whose pages are rendered anew."""

    quarantine: list[str] = []
    projects: list[str] = []


def install(pyramid_config: Any, stored: StoredFiles, views: PageViews, pages: PageCache) -> None:
    """Add the addresses."""

    def mend(mending: Mending) -> dict[str, str]:
        for project in mending.projects:
            pages.changed(project)
        return stored.quarantine(mending.quarantine)

    for address, method, view in (
        ("/+stored-files", "GET", for_root(Any, lambda _body, _xom: stored.all())),
        ("/+stored-files", "POST", for_root(Mending, lambda mending, _: mend(mending))),
        (
            "/+stored-pages",
            "GET",
            for_root(list[Page], lambda asked, _: [each for each in asked if _is_untrue(views, each)]),
        ),
    ):
        route = f"packhorse {method} {address}"
        pyramid_config.add_route(route, address, request_method=method)
        pyramid_config.add_view(view, route_name=route)


def _is_untrue(views: PageViews, page: Page) -> bool:
    return views.differs(PageKey(page.on, page.project), page.kind)
