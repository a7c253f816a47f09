"""Serve project pages: stored ones after asking whether they are fresh, others after rendering them."""

import threading
import time
from collections.abc import Callable, Sequence
from math import inf
from typing import Any

from devpi_server.keyfs_types import FilePathInfo, RelPath
from devpi_server.log import threadlog
from devpi_server.mirror import MirrorCustomizer
from devpi_server.model import SimplelinkMeta, StageCustomizer, apply_filter_iter
from devpi_server.normalized import normalize_name
from devpi_server.views import INSTALLER_USER_AGENT, abort_if_invalid_project
from pyramid.httpexceptions import HTTPFound, HTTPNotAcceptable, HTTPNotFound
from pyramid.response import Response

from mirror.plugin import gzip_bytes, reservations
from mirror.plugin.access import clients, readers
from mirror.plugin.guards.guards import Guards
from mirror.plugin.metrics import counters
from mirror.plugin.pages import negotiate, response
from mirror.plugin.pages.dependencies import Snapshot
from mirror.plugin.pages.expiry import Expiry
from mirror.plugin.pages.response import Representation
from mirror.plugin.pages.store import KINDS, PageKey, PageStore, Place, StoredPage
from mirror.plugin.simple import detail, filenames, render
from mirror.plugin.simple.content_types import JSON
from mirror.plugin.simple.detail import ProjectDetail
from mirror.plugin.simple.file_rows import ProjectFile
from mirror.plugin.upstream.client import GatewayError
from mirror.plugin.upstream.mirror_stage import Freshness

Completed = Callable[[Sequence[ProjectFile]], Sequence[ProjectFile]]


class PageViews:
    """The views of project pages of one devpi-server process."""

    def __init__(self, xom: Any, store: PageStore, completed: Completed, guards: Guards) -> None:
        self._xom = xom
        self._store = store
        self._expiry = Expiry(store)
        self._rendering = threading.Lock()  # fifty pages at once take no less time, and megabytes each
        self._completed = completed
        self._guards = guards
        # Offline a page lists the files that are here, and those come and go without a transaction.
        self._may_store = not xom.config.offline_mode

    def install(self, pyramid_config: Any) -> None:
        """Add our routes in front of devpi's."""
        simple, project = "/{user:[^+/]+}/{index:[^+/]+}/+simple", "{project:[^+/]+}"
        for name, pattern, view in (
            ("packhorse page", f"{simple}/{project}/", self.page),
            ("packhorse page without slash", f"{simple}/{project}", self.page),
            # pipenv puts a slash between the address of an index, which ends in one, and the name.
            ("packhorse page with two slashes", f"{simple}//{project}{{slash:/?}}", self.to_page),
        ):
            pyramid_config.add_route(name, pattern)
            pyramid_config.add_view(view, route_name=name)
        pyramid_config.add_route(
            "packhorse installer",
            "/{user:[^+/]+}/{index:[^+/]+}/{project:[^+/]+/?}",
            header=f"User-Agent:{INSTALLER_USER_AGENT}",
            request_method=("GET", "HEAD"),
        )
        pyramid_config.add_view(self.to_page, route_name="packhorse installer")

    def page(self, context: Any, request: Any) -> Any:
        """GET /user/index/+simple/project/."""
        name = request.matchdict["project"]
        abort_if_invalid_project(request, name)
        project = normalize_name(name)
        if not filenames.is_project(project):
            raise HTTPNotFound("No project can have this name.")
        if project != name or not request.path_info.endswith("/"):
            return self.to_page(context, request)
        form = _form(request)
        if form is None:
            offers = ", ".join(negotiate.OFFERS)
            return HTTPNotAcceptable(f"Accept one of {offers}.", headers={"Vary": response.VARY})
        page, age = self.find(context.stage, str(project), form, clients.of_request(request))
        return _answer(request, form, page, age)

    def find(
        self, stage: Any, project: str, form: Representation, client: str
    ) -> tuple[StoredPage, float | None]:
        """The page of a normalised project on `stage`, and its age in seconds if it is stale.

        Raises HTTPNotFound, GatewayError.
        """
        freshness = self._refresh(stage, project)
        key = PageKey(stage.name, project)
        stored = self._store.find(key, form.kind) if self._may_store else None
        if stored is None:
            self._guards.gathering.prepare(stage, project, client)
        page = stored or self._render(key, form, freshness)
        if stored:
            self._publish(key, freshness)
        return page, freshness.age

    def _publish(self, key: PageKey, freshness: Freshness) -> None:
        """Let the page be served without a question as long as it is fresh."""
        if not freshness.counts:
            return
        try:
            self._store.move(key, fresh=True)
        except OSError as error:
            threadlog.error("the page of %s cannot be made fresh: %s", key, error)
        self._expiry.schedule(key, freshness.until)

    def to_page(self, context: Any, request: Any) -> Any:  # noqa: ARG002 (pyramid's signature)
        """Redirect to the address of the page from other spellings of it."""
        parts = {**request.matchdict, "project": normalize_name(request.matchdict["project"].rstrip("/"))}
        return HTTPFound(request.route_url("packhorse page", **parts, _query=request.GET))

    def _refresh(self, stage: Any, project: str) -> Freshness:
        """Refresh the project on the index and its bases. May restart the transaction."""
        try:
            found = [fresh for _, fresh in stage.op_sro_check_mirror_whitelist("refresh", project=project)]
        except stage.UpstreamNotFoundError as error:
            raise HTTPNotFound(error.msg) from error
        if not found and reservations.hides_upstreams(stage, project):
            raise HTTPNotFound(
                f"The name {project} is reserved for packages of this server's own. {stage.name} has none,"
                " and does not show what an upstream has."
            )
        if not found:
            raise HTTPNotFound(f"The project {project} does not exist on {stage.name}.")
        ages = [fresh.age for fresh in found if fresh.age is not None]
        return Freshness(min(fresh.until for fresh in found), max(ages, default=None))

    def _render(self, key: PageKey, form: Representation, freshness: Freshness) -> StoredPage:
        """Render the page, and store it unless something that it is made from has changed meanwhile."""
        stage = self._xom.model.getstage(key.index)
        if stage is None:
            raise HTTPNotFound(f"The index {key.index} does not exist.")
        snapshot = Snapshot(stage, key.project, self._guards.state_of(stage, key.project))
        with self._rendering:
            shown, until = self._detail(stage, key.project)
            is_json = form.content_type == JSON
            content = render.as_json(shown) if is_json else render.as_html(shown, key.index)
            packed = gzip_bytes.compress(content)
        fresh = freshness.counts
        try:
            mtime = self._store.keep(
                key,
                form.kind,
                packed,
                place=Place(fresh, readers.is_protected(stage)),
                is_true=lambda: self._may_store and snapshot.is_current(),
            )
        except OSError as error:  # a full disk is no reason to refuse what is in memory
            threadlog.error("the page of %s cannot be stored: %s", key, error)
            mtime = int(time.time())
        if fresh:
            self._expiry.schedule(key, freshness.until)
        self._expiry.schedule(key, until, is_untrue=True)
        return StoredPage(packed, mtime)

    def differs(self, key: PageKey, kind: str) -> bool:
        """Whether a page that is stored is another than would be rendered now. Needs a transaction."""
        stored, stage = self._store.find(key, kind), self._xom.model.getstage(key.index)
        if stored is None or stage is None:
            return stored is not None
        snapshot = Snapshot(stage, key.project, self._guards.state_of(stage, key.project))
        shown, _ = self._detail(stage, key.project)
        true = render.as_json(shown) if kind == KINDS[0] else render.as_html(shown, key.index)
        again = self._store.find(key, kind)
        same = again is not None and again.mtime == stored.mtime and snapshot.is_current()
        try:
            is_true = render.is_still_true(gzip_bytes.decompress(stored.content), true)
        except gzip_bytes.CorruptError:
            is_true = False
        return same and not is_true

    def _detail(self, stage: Any, project: str) -> tuple[ProjectDetail, float]:
        """Details of `project` on `stage` and its bases, and until when they are true."""
        found = stage.op_sro_check_mirror_whitelist("facts", project=project)
        judged = [self._guards.judged(stage, base, _filtered(stage, each)) for base, each in found]
        self._guards.log(stage, project, judged)
        shown = detail.merged(project, (each.shown for each in judged))
        if self._xom.config.offline_mode:
            shown = self._deliverable(shown)
        # Not with the sizes that the upstream did not tell: thousands of looks at the disk would find
        # hardly any file, and a page that lacks one size may promise none (PEP 700).
        completed = detail.with_files(shown, self._completed(shown.files))
        until = min((each.until for each in judged), default=inf)
        return self._guards.addressed(stage, completed), until

    def _deliverable(self, shown: ProjectDetail) -> ProjectDetail:
        """Keep only the files that are here. Raises GatewayError when none is."""
        here = [file for file in shown.files if self._size_of(file) is not None]
        if shown.files and not here:
            raise GatewayError(
                503, f"offline: no file of {shown.name} is in the cache, and nothing is fetched"
            )
        return detail.with_files(shown, here)

    def _size_of(self, file: ProjectFile) -> int | None:
        """Size of a file that is here, else None."""
        path = FilePathInfo(RelPath(file.path), file.hashes.get("sha256"))
        size: int | None = self._xom.keyfs.tx.io_file.size(path)
        return size


def _filtered(stage: Any, project: ProjectDetail) -> ProjectDetail:
    """Leave out files that a plugin's index type hides (devpi asks the requested index only)."""
    customizer = stage.customizer
    if isinstance(customizer, (MirrorCustomizer, StageCustomizer)):
        return project
    links = [
        SimplelinkMeta((file.filename, file.path, file.requires_python, file.yanked or None))
        for file in project.files
    ]
    keep = customizer.get_simple_links_filter_iter(project.name, links)
    return (
        project if keep is None else detail.with_files(project, tuple(apply_filter_iter(project.files, keep)))
    )


def _form(request: Any) -> Representation | None:
    environ = request.environ
    accepted = environ.get("HTTP_ACCEPT"), environ.get("HTTP_ACCEPT_ENCODING")
    return response.representation(*accepted, request.GET.get("format"))


def _answer(request: Any, form: Representation, page: StoredPage, age: float | None = None) -> Any:
    if age is not None:
        counters.shown_stale()
    answer = response.respond(request.environ, form, page, age)
    return Response(status=answer.status, headerlist=answer.headers, app_iter=[answer.body])
