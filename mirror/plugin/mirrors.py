"""devpi's mirror index, taught to keep all that the upstream said, and never to guess."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, cast

from devpi_server.log import threadlog
from devpi_server.markers import unknown
from devpi_server.mirror import MirrorStage, ProjectUpdateCache
from devpi_server.model import join_links_data
from devpi_server.normalized import normalize_name

from mirror.plugin import entries, facts, fetch, project_page
from mirror.plugin.asking import REMEMBERED, Asking
from mirror.plugin.facts import ProjectFacts
from mirror.plugin.fetch import Fetcher, Trouble
from mirror.plugin.file_facts import FileFacts
from mirror.plugin.project_page import Page, Wanted
from mirror.plugin.writes import Change, Writes

NOT_FOUND_EXPIRY = 60  # seconds; devpi keeps a 404 as long as a page, half an hour

_FETCHER, _WRITES = ("+packhorse", "fetcher"), ("+packhorse", "writes")


def use(xom: Any, fetcher: Fetcher, writes: Writes) -> None:
    """All mirrors of this process ask through `fetcher`, and keep the answers by `writes`."""
    xom.set_singleton(*_FETCHER, fetcher)
    xom.set_singleton(*_WRITES, writes)


@dataclass(frozen=True)
class Freshness:
    """Until when what is known may be shown without a question, and how old it is if it should not be."""

    until: float = inf  # time.time()
    age: float | None = None  # seconds since the upstream confirmed it; None: it is fresh


class Mirror(MirrorStage):
    """An index that caches an upstream.

    Raises Trouble where devpi raises UpstreamError: devpi's loop over the bases of an index swallows
    the latter and shows what is left as the whole (model.py, op_sro_check_mirror_whitelist).
    """

    # With a list that is never asked for, devpi asks for the project's own page.
    no_project_list = True

    @property
    def asking(self) -> Asking:
        return cast("Asking", self._of_upstream("asking", Asking))

    @property
    def gone(self) -> dict[str, float]:
        """Projects that the upstream said it has not, and when."""
        return cast("dict[str, float]", self._of_upstream("gone", dict))

    @property
    def cache_retrieve_times(self) -> Any:
        """When the upstream confirmed each project; devpi believes it after a change of mirror_url too."""
        return self._of_upstream("retrieved", ProjectUpdateCache)

    def _of_upstream(self, what: str, factory: Callable[[], object]) -> object:
        """What this process knows about the present upstream; forgotten when the index is deleted."""
        name = f"packhorse {what} {self.mirror_url.url}"
        return cast("object", self.xom.setdefault_singleton(self.name, name, factory=factory))

    def has_project_perstage(self, project: str) -> Any:
        """Whether it exists as far as we know; asks nobody."""
        if self._is_gone(project):
            return False
        return True if self.is_project_cached(project) else unknown

    def _list_projects_perstage(self, *, timeout: float | None = None) -> Any:
        """The names, and whether they are old; for those who list an index, no installer does.

        devpi answers trouble, a slow upstream and 304 with the few names that are cached, as if
        they were all (mirror.py, _update_projects).
        """
        names = self.cache_projectnames
        if self.offline or self.ixconfig.get("mirror_no_project_list"):
            return self._stale_list_projects_perstage(), True
        if names.is_expired(self.cache_expiry):
            with self._list_projects_perstage_lock:
                if names.is_expired(self.cache_expiry):
                    self._update_names(timeout)
        if not (names.exists() and names.get()):
            raise Trouble(503, f"the upstream of {self.name} does not give its list of projects")
        return names.get(), names.is_expired(self.cache_expiry)

    def _update_names(self, timeout: float | None) -> None:
        try:
            self._update_projects(timeout)
        except (ValueError, KeyError, TypeError) as error:
            raise Trouble(503, f"the upstream of {self.name} gives no list of projects: {error}") from error

    def get_simplelinks_perstage(self, project: str) -> Any:
        freshness = self.refresh(project)
        return self.SimpleLinks(self._links(project), core_metadata=True, stale=freshness.age is not None)

    def _links(self, project: str) -> Any:
        lists = facts.devpis_lists(self.facts(project))
        return join_links_data(lists["links"], lists["requires_python"], lists["yanked"])

    def _load_cache_links(self, project: str) -> Any:
        """As devpi does it on a replica, but from what we store instead of its lists."""
        value = self.key_projsimplelinks(project).get()
        links = self._links(project) if value else None
        return self._is_expired(project), links, value.get("serial", -1), value.get("etag")

    def facts(self, project: str) -> ProjectFacts:
        """What is stored about `project`; `refresh` it first."""
        return facts.load(normalize_name(project), self.key_projsimplelinks(project).get())[0]

    def refresh(self, project: str) -> Freshness:
        """Make sure that what is stored is fresh; otherwise say how old it is.

        Raises UpstreamNotFoundError when the upstream said so, Trouble when nothing can be shown.
        May restart the transaction.
        """
        project = normalize_name(project)
        value = self.key_projsimplelinks(project).get()
        if self.xom.is_replica():
            return self._refresh_replica(project, value)
        times = self.cache_retrieve_times
        if self._is_fresh(project, value):
            return Freshness(times.get_timestamp(project) + self.cache_expiry)
        if not self._is_gone(project):
            try:
                self._ask(project, has_old=bool(value))
            except Trouble as trouble:
                if not value:
                    raise
                threadlog.warn("%s/%s: showing what is cached: %s", self.name, project, trouble.text)
                return Freshness(time.time() + 1, self._age(project, value))
        if self._is_gone(project):
            raise self.UpstreamNotFoundError("the upstream has no project %s", project)
        return Freshness(times.get_timestamp(project) + self.cache_expiry)

    def _ask(self, project: str, *, has_old: bool) -> None:
        if self.offline:
            raise Trouble(503, f"offline: the page of {project} is not asked for")
        if self.keyfs.tx.write:
            # Another thread could not store the answer before this transaction ends.
            self._fetch_and_keep(project, lambda change: change())
            return
        writes = self.xom.setdefault_singleton(*_WRITES, factory=lambda: Writes(self.keyfs))
        self.asking.ask(
            project, lambda: self._fetch_and_keep(project, writes.do), may_wait=self.timeout, has_old=has_old
        )
        self.keyfs.restart_read_transaction()

    def _fetch_and_keep(self, project: str, write: Callable[[Change], None]) -> None:
        """Ask the upstream; afterwards it is stored what it said, by `write`, or that it has nothing."""
        with self.keyfs.read_transaction(allow_reuse=True):
            value = self.key_projsimplelinks(project).get()
        if self._is_gone(project) or self._is_fresh(project, value):
            return  # another asked between the look at what is stored and this question
        old, about = facts.load(project, value)
        page_url = self._page_url(project)
        # What another upstream said (mirror_url was changed) is no base to compare with.
        same_page = about is not None and about["page"] == page_url
        etag = (self.cache_retrieve_times.get_etag(project) or value.get("etag")) if same_page else None
        fetcher = self.xom.setdefault_singleton(*_FETCHER, factory=lambda: Fetcher(self.xom))
        try:
            page = project_page.fetch(
                fetcher, Wanted(project, page_url, fetch.authorization(self, page_url), etag)
            )
        except Trouble as trouble:
            if trouble.status != 404:
                raise
            self._remember_gone(project)
            return
        self.gone.pop(project, None)
        if page and same_page and page.serial < value["serial"] and not self.ignore_serial_header:
            page = None  # an older one, from another server of a content delivery network
        said = entries.placed(self.keyfs, self.name, page.project) if page else None
        if page is None or said is None or (same_page and said == old):
            self.cache_retrieve_times.refresh(project, page.etag if page else etag)
        else:
            files = entries.to_write(said, old)
            write(lambda: self._keep(page, said, files))

    def _keep(self, page: Page, said: ProjectFacts, files: Sequence[FileFacts]) -> None:
        """Store what a page `said`, and devpi's entries of `files`. Needs a write transaction."""
        name = said.name
        if self.model.getstage(self.username, self.index) is None:
            return  # deleted meanwhile
        for file in files:
            entries.keep(self.keyfs, name, file)
        value = facts.stored(said, page=page.url, fetched=int(time.time()))
        self.key_projsimplelinks(name).set({**value, "etag": page.etag, "serial": page.serial})
        self.add_project_name(name)
        self.keyfs.tx.on_commit_success(lambda: self._kept(name, page.etag))

    def _kept(self, project: str, etag: str | None) -> None:
        self.cache_retrieve_times.refresh(project, etag)
        self.cache_projectnames.add(project)

    def _refresh_replica(self, project: str, value: Mapping[str, Any]) -> Freshness:
        """devpi asks the primary and waits for what that stores."""
        try:
            links = super().get_simplelinks_perstage(project)
        except self.UpstreamNotFoundError:
            raise
        except self.UpstreamError as error:
            raise Trouble(503, error.msg) from error
        age = self._age(project, value) if links.stale and self._is_expired(project) else None
        return Freshness(time.time() + 1 if age else time.time() + self.cache_expiry, age)

    def _page_url(self, project: str) -> str:
        return str(self.mirror_url_without_auth.joinpath(project).asdir().url)

    def _is_fresh(self, project: str, value: Mapping[str, Any]) -> bool:
        """Whether the upstream (the present one, not one that mirror_url named before) said it lately."""
        return not self._is_expired(project) and facts.is_about(value, page=self._page_url(project))

    def _is_expired(self, project: str) -> bool:
        return bool(self.cache_retrieve_times.is_expired(project, self.cache_expiry))

    def _is_gone(self, project: str) -> bool:
        expiry = min(NOT_FOUND_EXPIRY, self.cache_expiry)
        return bool(time.time() - self.gone.get(normalize_name(project), -inf) < expiry)

    def _age(self, project: str, value: Mapping[str, Any]) -> float:
        """Since the upstream last confirmed it, as far as this process remembers or the value says."""
        about = facts.load(project, value)[1] or {}
        confirmed: float = max(self.cache_retrieve_times.get_timestamp(project), about.get("fetched", 0))
        return max(0.0, time.time() - confirmed)

    def _remember_gone(self, project: str) -> None:
        if len(self.gone) > REMEMBERED:
            self.gone.clear()
        self.gone[project] = time.time()
