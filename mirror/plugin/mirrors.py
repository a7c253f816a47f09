"""devpi's mirror index, taught to keep all that the upstream said, and never to guess."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import httpx
from devpi_common.url import URL
from devpi_server.filestore import key_from_link, make_splitdir
from devpi_server.keyfs_types import RelPath
from devpi_server.log import threadlog
from devpi_server.markers import unknown
from devpi_server.mirror import MirrorStage
from devpi_server.model import join_links_data
from devpi_server.normalized import normalize_name

from mirror.plugin import entries, facts, fetch, upstream
from mirror.plugin.asking import REMEMBERED, Asking
from mirror.plugin.facts import FileFacts, ProjectFacts
from mirror.plugin.fetch import Fetcher, Trouble

NOT_FOUND_EXPIRY = 60  # seconds; devpi keeps a 404 as long as a page, half an hour
LONGEST_FETCH = 120  # seconds until a page must have arrived


_FETCHER = ("+packhorse", "fetcher")


def use_fetcher(xom: Any, fetcher: Fetcher) -> None:
    """All mirrors of this process ask through `fetcher`."""
    xom.set_singleton(*_FETCHER, fetcher)


@dataclass(frozen=True)
class Freshness:
    """Until when what is known may be shown without a question, and how old it is if it should not be."""

    until: float = inf  # time.time()
    age: float | None = None  # seconds since the upstream confirmed it; None: it is fresh


@dataclass(frozen=True)
class Page:
    """A page of the upstream that was read."""

    project: ProjectFacts
    url: str  # that was asked for
    etag: str | None
    serial: int  # of the public index; -1 without


class Mirror(MirrorStage):
    """An index that caches an upstream.

    Raises Trouble where devpi raises UpstreamError: devpi's loop over the bases of an index swallows
    the latter and shows what is left as the whole (model.py, op_sro_check_mirror_whitelist).
    """

    # With a list that is never asked for, devpi asks for the project's own page.
    no_project_list = True

    @property
    def asking(self) -> Asking:
        return cast("Asking", self.xom.setdefault_singleton(self.name, "packhorse", factory=Asking))

    @property
    def gone(self) -> dict[str, float]:
        """Projects that the upstream said it has not, and when."""
        gone = self.xom.setdefault_singleton(self.name, "packhorse gone", factory=dict)
        return cast("dict[str, float]", gone)

    def has_project_perstage(self, project: str) -> Any:
        """Whether it exists as far as we know; asks nobody."""
        if self._is_gone(project):
            return False
        return True if self.is_project_cached(project) else unknown

    def get_simplelinks_perstage(self, project: str) -> Any:
        freshness = self.refresh(project)
        value = self.key_projsimplelinks(project).get()
        links = join_links_data(value["links"], value.get("requires_python", []), value.get("yanked", []))
        return self.SimpleLinks(links, core_metadata=True, stale=freshness.age is not None)

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
        if facts.is_whole(value) and not self._is_expired(project):
            return Freshness(times.get_timestamp(project) + self.cache_expiry)
        if not self._is_gone(project):
            try:
                self._ask(project, has_old="links" in value)
            except Trouble as trouble:
                if "links" not in value:
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
            self._fetch_and_keep(project)
            return
        self.asking.ask(
            project, lambda: self._fetch_and_keep(project), may_wait=self.timeout, has_old=has_old
        )
        self.keyfs.restart_read_transaction()

    def _fetch_and_keep(self, project: str) -> None:
        """Ask the upstream; afterwards it is stored what it said, or that it has no such project."""
        with self.keyfs.read_transaction(allow_reuse=True):
            value = self.key_projsimplelinks(project).get()
        if self._is_gone(project) or (facts.is_whole(value) and not self._is_expired(project)):
            return  # another asked between the look at what is stored and this question
        old, about = facts.load(project, value)
        url = self.mirror_url_without_auth.joinpath(project).asdir().url
        # What another upstream said (mirror_url was changed) is no base to compare with.
        same_page = about is not None and about["page"] == url
        known_etag = self.cache_retrieve_times.get_etag(project) or value.get("etag")
        try:
            page = self._fetch_patiently(project, url, known_etag if same_page else None)
        except Trouble as trouble:
            if trouble.status != 404:
                # Whatever it is, the page is there later or never: nothing for a client to correct.
                raise Trouble(503, trouble.text, trouble.headers["Retry-After"]) from trouble.__cause__
            self._remember_gone(project)
            return
        self.gone.pop(project, None)
        older = (
            page is not None and same_page and page.serial < value["serial"] and not self.ignore_serial_header
        )
        if (
            page is None
            or older
            or (same_page and page.project.files == old.files and _same(page.project, old))
        ):
            self.cache_retrieve_times.refresh(project, page.etag if page and not older else known_etag)
        else:
            self._keep(page, {file.path: file.url for file in old.files})

    def _fetch_patiently(self, project: str, url: str, etag: str | None) -> Page | None:
        """Once more after a broken connection: a kept one may have been closed by the other side."""
        try:
            return self._fetch(project, url, etag)
        except Trouble as trouble:
            if isinstance(trouble.__cause__, (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)):
                return self._fetch(project, url, etag)
            raise

    def _fetch(self, project: str, url: str, etag: str | None) -> Page | None:
        """The upstream's page, None when it still is the one with `etag`. Raises Trouble."""
        headers = {"Accept": upstream.ACCEPT, "Accept-Encoding": "gzip"}
        if etag:
            headers["If-None-Match"] = etag
        login = fetch.authorization(self, url)
        fetcher: Fetcher = self.xom.get_singleton(*_FETCHER)
        with fetcher.stream(url, login, headers=headers) as answer:
            if answer.status_code == 304:
                return None
            body = upstream.Body(answer.headers.get("Content-Type", ""), str(answer.url), _whole_body(answer))
        try:
            said = upstream.read(project, body)
        except upstream.NotThePage as reason:
            raise Trouble(503, f"the upstream's answer for {project} is {reason}") from reason
        files = tuple(replace(file, path=path_of(self.keyfs, self.name, file)) for file in said.files)
        serial = answer.headers.get("X-PyPI-Last-Serial", "")
        return Page(
            facts.with_files(said, files),
            url,
            answer.headers.get("ETag"),
            int(serial) if serial.isdecimal() else -1,
        )

    def _keep(self, page: Page, known: Mapping[str, str]) -> None:
        """Store `page`, and devpi's entries of the files whose path and URL are not `known`."""
        name = page.project.name
        with self.keyfs.write_transaction(allow_restart=True):
            if self.model.getstage(self.username, self.index) is None:
                return  # deleted meanwhile
            for file in page.project.files:
                if known.get(file.path, file.url) != file.url or not entries.can_be_found(name, file.path):
                    self._keep_entry(name, file)
            value = facts.stored(page.project, page=page.url, fetched=int(time.time()))
            self.key_projsimplelinks(name).set({**value, "etag": page.etag, "serial": page.serial})
            self.add_project_name(name)
            self.keyfs.tx.on_commit_success(lambda: self._kept(name, page.etag))

    def _kept(self, project: str, etag: str | None) -> None:
        self.cache_retrieve_times.refresh(project, etag)
        self.cache_projectnames.add(project)

    def _keep_entry(self, project: str, file: FileFacts) -> None:
        """As devpi's FileStore.maplink does it, with one write instead of five, and where one is needed."""
        kind_of_key = "STAGEFILE" if "/+f/" in file.path else "PYPIFILE_NOMD5"
        key = self.keyfs.get_key_instance(kind_of_key, RelPath(file.path))
        if key.exists() or not entries.can_be_found(project, file.path):
            key.set({**key.get_mutable(), **entries.meta(project, file)})

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


def path_of(keyfs: Any, index: str, file: FileFacts) -> str:
    """Where devpi keeps `file`: what its key_from_link says, which parses each URL several times."""
    best = facts.best_hash(file.hashes)
    if not best.startswith(("sha256=", "md5=")):
        user, name = index.split("/")
        return str(key_from_link(keyfs, URL(file.url).replace(fragment=best), user, name).relpath)
    first, second = make_splitdir(best)
    filename = unquote(urlsplit(file.url).path).rpartition("/")[2]
    return f"{index}/+f/{first}/{second}/{filename}"


def _same(one: ProjectFacts, other: ProjectFacts) -> bool:
    return (one.versions, one.status) == (other.versions, other.status)


def _whole_body(answer: httpx.Response) -> bytes:
    """All of it, or Trouble: a body that comes drop by drop must not hold its thread for ever."""
    deadline = time.monotonic() + LONGEST_FETCH
    chunks = []
    for chunk in answer.iter_bytes():
        chunks.append(chunk)
        if time.monotonic() > deadline:
            raise Trouble(503, f"the upstream takes more than {LONGEST_FETCH} s for {answer.url.path}")
    return b"".join(chunks)
