"""Project pages of an index: from the store, rendered, redirected to, refused."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from devpi_server.mirror import MirrorCustomizer
from pyramid.httpexceptions import HTTPNotFound
from pyramid.request import Request

from mirror.plugin.evidence.collector import Collector
from mirror.plugin.evidence.store import EvidenceStore
from mirror.plugin.guards.decision_log import DecisionLog
from mirror.plugin.guards.gathering import Gathering
from mirror.plugin.guards.guards import Guards, Records
from mirror.plugin.guards.known_vulnerabilities import VulnerabilityFile
from mirror.plugin.pages.store import PageKey, PageStore
from mirror.plugin.pages.views import PageViews
from mirror.plugin.simple.content_types import JSON
from mirror.plugin.simple.detail import ProjectDetail
from mirror.plugin.simple.file_rows import ProjectFile
from mirror.plugin.upstream.client import GatewayError
from mirror.plugin.upstream.file_records.first_seen import FirstSeen
from mirror.plugin.upstream.mirror_stage import CachingStage, Freshness
from mirror.plugin.upstream.page_cache import PageCache

FILE = ProjectFile(
    "demo-1.0.zip",
    "root/pypi/+f/abc/0123456789abc/demo-1.0.zip",
    "https://x/d.zip",
    {"sha256": "ab" * 32},
)
DEMO = PageKey("root/pypi", "demo")


class _Stage:
    """A mirror with one project."""

    UpstreamNotFoundError = CachingStage.UpstreamNotFoundError
    name = "root/pypi"
    ixconfig = {"type": "mirror"}  # noqa: RUF012 (as devpi has it)
    customizer = MirrorCustomizer.__new__(MirrorCustomizer)
    user = SimpleNamespace(key=SimpleNamespace(relpath="user"))

    def __init__(self, keyfs: Any, freshness: Freshness) -> None:  # noqa: ANN401 (devpi is untyped)
        self.keyfs = keyfs
        self.freshness = freshness
        self.rendered = 0

    def op_sro_check_mirror_whitelist(self, name: str, *, project: str) -> Iterator[tuple[Any, Any]]:
        if project != "demo":
            raise self.UpstreamNotFoundError("no project %s", project)
        self.rendered += name == "facts"
        yield self, self.freshness if name == "refresh" else ProjectDetail("demo", [FILE], ("1.0",))

    def sro(self) -> list[Any]:
        return [self]

    def key_projsimplelinks(self, project: str) -> SimpleNamespace:
        return SimpleNamespace(relpath=f"links/{project}")


class _KeyFs:
    """A database in which `written` was written last; files have `size`."""

    def __init__(self) -> None:
        self.written = 1
        self.size: int | None = None
        self.tx = SimpleNamespace(at_serial=1, io_file=SimpleNamespace(size=lambda _: self.size))

    @contextmanager
    def get_connection(self) -> Iterator[Any]:
        yield self

    @property
    def last_changelog_serial(self) -> int:
        return self.written

    def db_read_typedkey(self, _: str) -> tuple[str, int]:
        return "", self.written

    def read_transaction(self, *, allow_reuse: bool) -> Any:  # noqa: ANN401 (devpi is untyped)
        assert allow_reuse
        return nullcontext()

    def get_key(self, _: str) -> Any:  # noqa: ANN401 (devpi is untyped)
        return SimpleNamespace(get=dict)  # nothing is declared


class _Server:
    """The views, and what they stand on."""

    def __init__(self, folder: Path, freshness: Freshness, *, offline: bool = False) -> None:
        self.keyfs = _KeyFs()
        self.stage = _Stage(self.keyfs, freshness)
        model = SimpleNamespace(getstage=lambda _: self.stage)
        config = SimpleNamespace(offline_mode=offline)
        self.store = PageStore(folder)
        self.store.empty()
        xom = SimpleNamespace(keyfs=self.keyfs, model=model, config=config)
        cache = PageCache(folder.with_name("upstream"), lambda _: nullcontext())
        known = VulnerabilityFile(folder.with_name("advisories"))
        self.log = DecisionLog(folder.with_name("decisions"))
        evidence = EvidenceStore(folder.with_name("evidence"), lambda _: nullcontext())
        gathering = Gathering(xom, evidence, Collector(Mock(), evidence, Mock()))
        guards = Guards(xom, Records(cache, FirstSeen(folder.with_name("seen")), known, self.log, gathering))
        self.views = PageViews(xom, self.store, lambda files: files, guards)

    def get(self, project: str = "demo", *, method: str = "GET", accept: str = JSON, query: str = "") -> Any:  # noqa: ANN401 (pyramid)
        path = f"/root/pypi/+simple/{project}/"
        request = Request.blank(f"{path}?{query}", method=method, headers={"Accept": accept})
        request.matchdict = {"user": "root", "index": "pypi", "project": project}
        request.route_url = lambda _, **parts: f"/to/{parts['project']}/"
        return self.views.page(SimpleNamespace(stage=self.stage), request)


def test_a_page_is_rendered_once_and_then_published(tmp_path: Path) -> None:
    """The next request never gets here: PageMiddleware answers it."""
    server = _Server(tmp_path / "pages", Freshness())
    answer = server.get()
    assert (answer.status_code, answer.content_type, answer.json["versions"]) == (200, JSON, ["1.0"])
    assert server.store.read(DEMO, ".json.gz"), "fresh"
    assert server.get().body == answer.body
    assert server.stage.rendered == 1


def test_a_stale_page_is_shown_with_its_age_and_not_published(tmp_path: Path) -> None:
    """nginx would show it for fresh."""
    server = _Server(tmp_path / "pages", Freshness(age=60.0))
    assert server.get().headers["X-Packhorse-Stale"] == "60"
    assert server.store.read(DEMO, ".json.gz") is None
    assert server.store.find(DEMO, ".json.gz")


def test_a_page_rendered_before_a_write_is_answered_and_not_stored(tmp_path: Path) -> None:
    """It was true when the request began."""
    server = _Server(tmp_path / "pages", Freshness())
    server.keyfs.written = 2
    assert server.get().status_code == 200
    assert server.store.find(DEMO, ".json.gz") is None


@pytest.mark.parametrize(("accept", "query", "status"), [("image/png", "", 406), ("*/*", "format=x", 406)])
def test_a_form_that_we_have_not_is_refused(tmp_path: Path, accept: str, query: str, status: int) -> None:
    """With what there is."""
    answer = _Server(tmp_path / "pages", Freshness()).get(accept=accept, query=query)
    assert (answer.status_code, JSON in str(answer)) == (status, True)


def test_another_spelling_leads_to_the_page(tmp_path: Path) -> None:
    """PEP 503."""
    answer = _Server(tmp_path / "pages", Freshness()).get("De_Mo")
    assert (answer.status_code, answer.headers["Location"].endswith("/to/de-mo/")) == (302, True)


@pytest.mark.parametrize("project", ["other", "a--b-", "-"])
def test_what_the_upstream_does_not_have_or_nobody_can_is_not_found(tmp_path: Path, project: str) -> None:
    """And nothing else is."""
    with pytest.raises(HTTPNotFound):
        _Server(tmp_path / "pages", Freshness()).get(project)


def test_offline_a_page_lists_what_is_here_and_is_never_stored(tmp_path: Path) -> None:
    """Files come and go; with none, nobody knows what there is."""
    server = _Server(tmp_path / "pages", Freshness(), offline=True)
    with pytest.raises(GatewayError, match="no file of demo is in the cache"):
        server.get()
    server.keyfs.size = 12
    assert [file["filename"] for file in server.get().json["files"]] == ["demo-1.0.zip"]
    assert server.store.find(DEMO, ".json.gz") is None
