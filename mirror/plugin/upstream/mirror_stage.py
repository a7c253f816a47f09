"""Mirror index on devpi's: refreshes pages from the upstream, keeps all that they say, never guesses."""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from typing import Any, cast

from devpi_server.log import threadlog
from devpi_server.markers import unknown
from devpi_server.mirror import ProjectUpdateCache
from devpi_server.model import join_links_data
from devpi_server.normalized import normalize_name

from mirror.plugin import pinned_hashes
from mirror.plugin.simple import content_types, detail, file_paths, file_rows, filenames
from mirror.plugin.simple.detail import ProjectDetail
from mirror.plugin.simple.file_rows import ProjectFile
from mirror.plugin.simple.parse import RawPage
from mirror.plugin.upstream import page_cache, page_request
from mirror.plugin.upstream.client import GatewayError
from mirror.plugin.upstream.file_records import changed_files, entries, given_files
from mirror.plugin.upstream.negative_cache import NegativeCache
from mirror.plugin.upstream.page_cache import CachedPage, PageInfo
from mirror.plugin.upstream.page_refresh import PageRefresh
from mirror.plugin.upstream.page_request import PageRequest
from mirror.plugin.upstream.parser_process import ParsedPage, ParseRequest
from mirror.plugin.upstream.project_list_stage import ProjectListStage
from mirror.plugin.write_queue import Change

NOT_FOUND_EXPIRY = 60  # seconds; devpi keeps a 404 as long as a page, half an hour


@dataclass(frozen=True)
class Freshness:
    """Until when a page may be shown without asking the upstream, or how old it is when it is stale."""

    until: float = inf  # time.time()
    age: float | None = None  # seconds since the upstream confirmed it; None: it is fresh
    error: GatewayError | None = None  # why it is not fresh

    @property
    def counts(self) -> bool:
        """Whether it may be shown without a question from now on."""
        return self.age is None and self.until > time.time() + 1


def confirmed(xom: Any) -> Iterator[float]:
    """The times (time.time()) at which upstreams confirmed the pages that this process has asked for."""
    singletons = [each for of_index in list(xom._stagecache.values()) for each in list(of_index.values())]  # noqa: SLF001
    caches = (each for each in singletons if isinstance(each, ProjectUpdateCache))
    return (moment for each in caches for moment, _ in list(each._project2time.values()) if moment)  # noqa: SLF001


class CachingStage(ProjectListStage):
    """An index that caches an upstream.

    Raises GatewayError where devpi raises UpstreamError: devpi's loop over the bases of an index swallows
    the latter and shows what is left as the whole (model.py, op_sro_check_mirror_whitelist).
    """

    @property
    def page_refresh(self) -> PageRefresh:
        return cast("PageRefresh", self._of_upstream("page refresh", PageRefresh))

    @property
    def gone(self) -> NegativeCache:
        """Projects that the upstream does not have."""
        return cast("NegativeCache", self._of_upstream("gone", NegativeCache))

    @property
    def cache_retrieve_times(self) -> Any:
        """Times at which the upstream confirmed each project; devpi keeps them when mirror_url changes."""
        return self._of_upstream("retrieved", ProjectUpdateCache)

    def _of_upstream(self, what: str, factory: Callable[[], object]) -> object:
        """State of this process about the present upstream; forgotten when the index is deleted."""
        name = f"packhorse {what} {self.ixconfig['mirror_url']}"
        return cast("object", self.xom.setdefault_singleton(self.name, name, factory=factory))

    def has_project_perstage(self, project: str) -> Any:
        """Whether the project exists: True, False or unknown; asks nobody."""
        if self._is_gone(project):
            return False
        return True if self.is_project_cached(project) else unknown

    def get_simplelinks_perstage(self, project: str) -> Any:
        """Raises GatewayError, and UpstreamError where devpi has made the index offline and expects that."""
        try:
            freshness = self.refresh(project)
        except GatewayError as error:
            if self.offline and not self.xom.config.offline_mode:
                raise self.UpstreamError("%s", error.text) from error
            raise
        return self.SimpleLinks(self._links(project), core_metadata=True, stale=freshness.age is not None)

    def _links(self, project: str) -> Any:
        lists = detail.as_devpi_lists(self.facts(project))
        return join_links_data(lists["links"], lists["requires_python"], lists["yanked"])

    def _load_cache_links(self, project: str) -> Any:
        """The cached links, as devpi loads them from lists of its own."""
        if not self.is_project_cached(project):
            return True, None, -1, None
        known = self._known(project)
        serial, etag = (known.about.serial, known.about.etag) if known else (-1, None)
        return self._is_expired(project), self._links(project), serial, etag

    def _known(self, project: str) -> CachedPage | None:
        name = normalize_name(project)
        return self._shared.pages.read(self.name, name) if filenames.is_project(name) else None

    def facts(self, project: str) -> ProjectDetail:
        """The details that are stored of `project`; `refresh` it first."""
        known = self._known(project)
        if known is None:
            return detail.from_devpi_lists(project, self.key_projsimplelinks(project).get())
        return changed_files.completed(known.detail, pinned_hashes.pinned(self.keyfs, self.name, project))

    def token(self, project: str) -> Any:
        """A version of `facts`: equal as long as they are the same."""
        return self._shared.pages.token(self.name, project)

    def is_project_cached(self, project: str) -> bool:
        """Whether a page of it is here, or what devpi stored of one before this plugin was there."""
        return self._known(project) is not None or "links" in self.key_projsimplelinks(project).get()

    def expire(self, project: str) -> None:
        """Let the next question for the page of a normalised project go to the upstream."""
        self.cache_retrieve_times.expire(project)
        self.gone.discard(project)

    def del_project(self, project: str) -> None:
        """Forget its page and its files. Raises KeyError when no page of it is here."""
        super().del_project(project)
        self.cache_retrieve_times.expire(normalize_name(project))
        self._shared.pages.remove(self.name, normalize_name(project))

    def delete(self) -> None:
        """Forget everything."""
        for project in self._shared.pages.projects(self.name):
            self.del_project(project)
        super().delete()
        self._shared.pages.remove_index(self.name)
        self._shared.first_seen.remove_index(self.name)
        self._shared.forget_metadata(self.name)
        pinned_hashes.forget_index(self.keyfs, self.name)

    def refresh(self, project: str) -> Freshness:
        """Make sure that what is stored is fresh; otherwise say how old it is.

        Raises UpstreamNotFoundError when the upstream said so, GatewayError when nothing can be shown.
        May restart the transaction.
        """
        project = normalize_name(project)
        known = self._known(project)
        times = self.cache_retrieve_times
        if self._is_fresh(project, known):
            return Freshness(times.get_timestamp(project) + self.cache_expiry)
        if not self._is_gone(project):
            has_old = self.is_project_cached(project)
            try:
                self._ask(project, has_old=has_old)
            except GatewayError as error:
                if not has_old:
                    raise
                threadlog.warn("%s/%s: showing what is cached: %s", self.name, project, error.text)
                return Freshness(time.time() + 1, self._age(project, known), error)
        if self._is_gone(project) or not self.is_project_cached(project):
            raise self.UpstreamNotFoundError("the upstream has no project %s", project)
        return Freshness(times.get_timestamp(project) + self.cache_expiry)

    def _ask(self, project: str, *, has_old: bool) -> None:
        if self.offline and not self._listens_to_files:
            raise GatewayError(503, f"offline: the page of {project} is not asked for")
        if self.keyfs.tx.write:
            # Another thread could not write an entry before this transaction ends.
            self._fetch_and_keep(project, lambda change: change())
            return
        write = self._shared.writes.do
        self.page_refresh.ask(
            project, lambda: self._fetch_and_keep(project, write), may_wait=self.timeout, has_old=has_old
        )
        self.keyfs.restart_read_transaction()

    @property
    def _listens_to_files(self) -> bool:
        """Whether a plugin listens to replicated files: devpi makes the index offline to find their links.

        Its own mirrors have replicated them by then; ours ask the primary for the page.
        """
        listeners = self.xom.config.hook.devpiserver_on_replicated_file.get_hookimpls()
        return bool(listeners) and self.xom.is_replica() and not self.xom.config.offline_mode

    def _fetch_and_keep(self, project: str, write: Callable[[Change], None]) -> None:
        """Ask the upstream, and store its page, or that it has none.

        The entries that devpi could not find are written by `write`.
        """
        known = self._known(project)
        if self._is_gone(project) or self._is_fresh(project, known):
            return  # another asked between the look at what is stored and this question
        page_url = self._page_url(project)
        # The page of another upstream (mirror_url was changed) is no base to compare with.
        same = known if known and known.about.page == page_url else None
        etag = (self.cache_retrieve_times.get_etag(project) or same.about.etag) if same else None
        is_replica = self.xom.is_replica()
        request = PageRequest(self.name, project, page_url, self.upstream, etag, is_replica)
        try:
            page = page_request.fetch(self._shared.client, self._shared.parser, request)
        except GatewayError as error:
            if error.status != 404:
                raise
            self.gone.add(project, max(1.0, min(NOT_FOUND_EXPIRY, self.cache_expiry)))
            return
        self.gone.discard(project)
        new = page_cache.decode_new(project, page.content, page.summary) if page else None
        if new and same and new.about.serial < same.about.serial and not self.ignore_serial_header:
            new = None  # an older one, from another server of a content delivery network
        parsed = new.detail if new else None
        if new and not is_replica:
            new = self._held(new, same, write)
        self._note_files(project, page.summary.filenames if page and new else None, known)
        if page and new and not (same and new.detail == same.detail):
            if not is_replica:
                self._write_entries(page, new, known, write)
            self._keep(new, page.content if new.detail is parsed else page_cache.encode(new))
        self.cache_retrieve_times.refresh(project, new.about.etag if new else etag)
        self.cache_projectnames.add(project)

    def take_page(
        self,
        project: str,
        content: bytes,
        accepted: Collection[str] = (),
        has_provenance: Callable[[ProjectFile], bool] = lambda _: False,
    ) -> Mapping[str, str]:
        """Add the files of a page (JSON) that somebody brings, as if the upstream listed them.

        Those named in `accepted` take the place of files that had another content; those whose provenance is
        here, as `has_provenance` says, are listed with it.
        File names -> why each is refused, "" when it is listed now. Needs a write transaction. Raises
        InvalidPageError, GatewayError.
        """
        page_url = self._page_url(project)
        known = self._known(project)
        same = known if known and known.about.page == page_url else None
        about = same.about if same else PageInfo(page_url, int(time.time()), None, -1)
        body = RawPage(content_types.JSON, page_url, content)
        parsed = self._shared.parser.read(ParseRequest(self.name, project, body, about))
        new = page_cache.decode_new(project, parsed.content, parsed.summary)
        here = same.detail if same else ProjectDetail(project)
        pinned = pinned_hashes.pinned(self.keyfs, self.name, project)
        given = given_files.with_provenance(new.detail, has_provenance)
        found = given_files.merge(here, given, pinned, accepted)
        for filename in found.replaced:
            threadlog.warn("%s/%s: %s was replaced by a file that was brought", self.name, project, filename)
            pinned_hashes.forget(self.keyfs, f"{self.name}/{project}/{filename}")
        if found.detail != here:
            for file in file_paths.to_write(found.detail, here):
                entries.keep(self.keyfs, project, file)
            merged = replace(new, detail=found.detail)
            self._note_files(project, file_rows.rows(merged.detail.files).filenames(), self._known(project))
            self._keep(merged, page_cache.encode(merged))
            self.gone.discard(project)
            self.cache_projectnames.add(project)
        return found.refused

    def _held(self, new: CachedPage, old: CachedPage | None, write: Callable[[Change], None]) -> CachedPage:
        """`new` without the files that the upstream has changed, which are reported."""
        project = new.detail.name
        with self.keyfs.read_transaction(allow_reuse=True):
            pinned = dict(pinned_hashes.pinned(self.keyfs, self.name, project))
            found = changed_files.hold(new.detail, old.detail if old else None, pinned, self.name)
            known = pinned_hashes.reported(self.keyfs) if found.changed else {}
        for file in found.changed:
            path = f"{self.name}/{project}/{file.filename}"
            if known.get(path, {}).get("refused") != file.refused:
                report = partial(pinned_hashes.report, self.keyfs, path)
                write(partial(report, kept=file.kept, refused=file.refused))
        return replace(new, detail=found.detail)

    def _note_files(self, project: str, new: Sequence[str] | None, known: CachedPage | None) -> None:
        """Remember since when files are there, before a page shows them; `new`: names on a new page.

        A page from before this was remembered is older than the answer. A replica sees files later than its
        primary, which therefore says when it saw them. Raises GatewayError when it does not.
        """
        shared = self._shared.first_seen
        try:
            if known and not shared.exists(self.name, project):
                shared.note(
                    self.name, project, file_rows.rows(known.detail.files).filenames(), known.about.fetched
                )
            of_primary = (
                page_request.first_seen(self._shared.client, self.name, project, self.upstream)
                if new is not None and self.xom.is_replica()
                else None
            )
            if of_primary:
                shared.write(self.name, project, of_primary)
            elif new is not None:
                shared.note(self.name, project, new, time.time())
        except OSError as error:  # a file that is not noted counts as young, if that matters
            threadlog.error(
                "%s/%s: it cannot be noted when files were first seen: %s", self.name, project, error
            )

    def _keep(self, known: CachedPage, content: bytes) -> None:
        try:
            self._shared.pages.write(self.name, known, content)
        except OSError as error:
            text = f"the page of {known.detail.name} cannot be stored: {error.strerror}"
            raise GatewayError(503, text) from error

    def _write_entries(
        self, page: ParsedPage, new: CachedPage, old: CachedPage | None, write: Callable[[Change], None]
    ) -> None:
        files = file_paths.to_write(new.detail, old.detail) if old else page.entries

        def change() -> None:
            for file in files:
                entries.keep(self.keyfs, new.detail.name, file)

        if files:
            write(change)

    def _page_url(self, project: str) -> str:
        return str(self.mirror_url_without_auth.joinpath(project).asdir().url)

    def _is_fresh(self, project: str, known: CachedPage | None) -> bool:
        """Whether the page is fresh, and of the present upstream, not of a mirror_url before."""
        return (
            known is not None
            and not self._is_expired(project)
            and known.about.page == self._page_url(project)
        )

    def _is_expired(self, project: str) -> bool:
        return bool(self.cache_retrieve_times.is_expired(project, self.cache_expiry))

    def _is_gone(self, project: str) -> bool:
        name = normalize_name(project)
        return not filenames.is_project(name) or name in self.gone

    def _age(self, project: str, known: CachedPage | None) -> float:
        """Seconds since the upstream confirmed it, as far as this process or the page knows."""
        fetched = known.about.fetched if known else 0
        confirmed: float = max(self.cache_retrieve_times.get_timestamp(project), fetched)
        return max(0.0, time.time() - confirmed)
