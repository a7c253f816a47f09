"""mirror.serving.status: what people and scripts read about the mirror."""

from dataclasses import replace
from pathlib import Path

import pytest

from mirror import state
from mirror.last_refresh import LastRefresh
from mirror.serving import status
from mirror.serving.status import IndexReport, RefusedHost, StatusReport, UpstreamReport
from mirror.state import Folder, Serving

UPSTREAM = UpstreamReport("https://packages.example.org/simple/", 200, 0.123, None)
SERVING = StatusReport(
    home="/state/mirror",
    url="http://127.0.0.1:3141",
    pid=42,
    initialised=True,
    serves=True,
    versions={"packhorse": "1", "devpi-server": "2", "python": "3"},
    indexes=[
        IndexReport("company/dev", "stage", ["company/prod"], volatile=True, files=0, bytes=0),
        IndexReport("root/pypi", "mirror", [], volatile=False, files=12, bytes=3_450_000),
    ],
    upstream=UPSTREAM,
    refused_hosts=[],
    changed_files={},
)
REFRESHED = LastRefresh(1_767_225_600, 12, 3)
STOPPED = replace(SERVING, url=None, pid=None, serves=False, indexes=[], upstream=None)


def test_a_person_sees_address_versions_upstream_and_indexes() -> None:
    """In this order, with columns that line up."""
    assert status.as_text(SERVING).splitlines() == [
        "mirror     serves at http://127.0.0.1:3141 (process 42)",
        "folder     /state/mirror",
        "versions   packhorse 1, devpi-server 2, python 3",
        "upstream   https://packages.example.org/simple/ is reachable (0.12 s)",
        "",
        "INDEX        TYPE    VOLATILE  BASES         FILES  SIZE",
        "company/dev  stage   yes       company/prod  0      0 B",
        "root/pypi    mirror  no        -             12     3.5 MB",
    ]


def test_the_last_refresh_is_told_and_why_it_failed() -> None:
    """A timer does it at night, and nobody reads its journal."""
    shown = status.as_text(replace(SERVING, last_refresh=REFRESHED)).splitlines()
    assert "refresh    2026-01-01 00:00 UTC: 3 new versions, 12 projects in use" in shown
    failed = replace(SERVING, last_refresh=replace(REFRESHED, problem="The mirror does not serve."))
    assert "refresh    2026-01-01 00:00 UTC: failed: The mirror does not serve." in (
        status.as_text(failed).splitlines()
    )
    found = status.as_json(failed)["last_refresh"]
    assert found == {
        "at": 1_767_225_600,
        "projects": 12,
        "new": 3,
        "problem": "The mirror does not serve.",
        "next": None,
    }
    assert status.as_json(SERVING)["last_refresh"] is None


def test_missing_advisories_are_told_where_a_policy_needs_them() -> None:
    """Everybody misses everything, and asks the mirror first."""
    shown = status.as_text(replace(SERVING, lack_advisories=["all indexes", "company/dev"])).splitlines()
    assert "advisories none yet: nothing of upstreams is listed on all indexes, company/dev" in shown
    assert status.as_json(SERVING)["lack_advisories"] == []


@pytest.mark.parametrize(
    ("report", "code", "words"),
    [
        (SERVING, 0, "serves at"),
        (STOPPED, 3, "not running: start it with `mirror serve`"),
        (replace(STOPPED, initialised=False), 3, "make it with `mirror init`"),
        (replace(SERVING, serves=False, indexes=[], upstream=None), 1, "runs but does not answer"),
    ],
)
def test_the_exit_status_tells_stopped_from_broken(report: StatusReport, code: int, words: str) -> None:
    """A script starts a stopped mirror, and calls somebody for a broken one."""
    assert status.exit_code(report) == code
    assert words in status.as_text(report).splitlines()[0]


@pytest.mark.parametrize(
    ("answer", "answers"), [(200, True), (302, True), (404, True), (401, False), (500, False), (None, False)]
)
def test_an_upstream_that_says_no_such_project_answers(answer: int | None, answers: bool) -> None:  # noqa: FBT001 (a table)
    """A company's own upstream need not have the project that we ask for."""
    upstream = replace(UPSTREAM, status=answer)
    assert upstream.answers is answers
    assert (f"{UPSTREAM.url} is reachable" in status.as_text(replace(SERVING, upstream=upstream))) is answers


def test_an_upstream_that_cannot_be_reached_is_named_with_the_reason() -> None:
    """The usual causes are a proxy and a certificate."""
    down = replace(
        SERVING, upstream=UpstreamReport("https://x.example/", None, 1.0, "certificate verify failed")
    )
    assert (
        "upstream   https://x.example/ does not answer: certificate verify failed (1.00 s)"
        in status.as_text(down)
    )


def test_a_host_that_is_not_asked_is_named_with_the_line_that_allows_it() -> None:
    """Clients are told that there is one, not which."""
    refused = RefusedHost(
        "https://packages.example.org",
        "http://files.example.org",
        "it is another host than the upstream's, and not https",
        '["http://files.example.org"]',
    )
    text = status.as_text(replace(SERVING, refused_hosts=[refused]))
    assert "refused    http://files.example.org, to which https://packages.example.org leads: it is" in text
    assert 'hosts = ["http://files.example.org"], below [upstream] in mirror.toml' in text


def test_certificates_that_are_missing_are_named() -> None:
    """$REQUESTS_CA_BUNDLE may lead to nowhere."""
    report = status.ask_upstream("https://user:secret@x.example/simple/", "/nowhere.pem")
    assert (report.url, report.error) == (
        "https://x.example/simple/",
        "/nowhere.pem: No such file or directory",
    )


def test_a_server_that_is_not_ready_says_why_and_numbers_follow() -> None:
    """What /+ready and /+metrics say, for people."""
    report = replace(SERVING, problems={"disk": "it is full"}, numbers={"disk_free_bytes": 1e9})
    lines = status.as_text(report).splitlines()
    assert lines[3] == "not ready  disk: it is full"
    assert lines[5].startswith("requests   0")


def test_json_has_everything_for_scripts() -> None:
    """Keys are only ever added."""
    data = status.as_json(SERVING)
    assert list(data) == [
        *("home", "url", "pid", "initialised", "serves", "versions", "indexes", "upstream", "refused_hosts"),
        *("changed_files", "problems", "numbers", "offline", "last_refresh", "lack_advisories"),
    ]
    assert data["indexes"][1] == {
        "name": "root/pypi",
        "type": "mirror",
        "bases": [],
        "volatile": False,
        "files": 12,
        "bytes": 3_450_000,
    }
    assert data["upstream"] == {
        "url": "https://packages.example.org/simple/",
        "status": 200,
        "seconds": 0.123,
        "error": None,
        "answers": True,
    }
    assert status.as_json(STOPPED)["upstream"] is None


def test_an_offline_mirror_says_so_and_nobody_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who serves offline has a reason to send nothing."""
    monkeypatch.setattr(state, "read_serving", lambda _: Serving("http://127.0.0.1:1", 42, offline=True))
    monkeypatch.setattr(status, "_upstream_report", lambda _: pytest.fail("the upstream is asked"))
    report = status.gather(Folder(tmp_path))
    assert (report.offline, report.upstream) == (True, None)
    assert status.as_json(report)["offline"] is True
    assert "upstream   offline: no upstream is asked" in status.as_text(report).splitlines()


def test_a_look_at_nothing_makes_nothing(tmp_path: Path) -> None:
    """`mirror status` is free of side effects."""
    report = status.gather(Folder(tmp_path))
    assert (report.initialised, report.pid, status.exit_code(report)) == (False, None, 3)
    assert list(tmp_path.iterdir()) == []


def test_files_are_counted_per_index(tmp_path: Path) -> None:
    """devpi keeps them below +files/user/index."""
    users = {"c": {"indexes": {"dev": {"type": "stage", "bases": ["root/pypi"], "volatile": True}}}}
    for number in range(3):
        folder = tmp_path / "c" / "dev" / "+f" / str(number)
        folder.mkdir(parents=True)
        (folder / "a.whl").write_bytes(b"x" * 10)
    assert list(status.index_reports(users, tmp_path)) == [
        IndexReport("c/dev", "stage", ["root/pypi"], volatile=True, files=3, bytes=30)
    ]


def test_a_file_that_the_upstream_changed_is_named_with_both_hashes_and_how_to_take_it() -> None:
    """Nobody reads the log."""
    found = {"kept": "sha256=aa", "refused": "sha256=bb", "at": "2026-11-25T20:00:00Z"}
    text = status.as_text(replace(SERVING, changed_files={"root/pypi/demo/demo-1.0.zip": found}))
    assert "root/pypi/demo/demo-1.0.zip upstream, from sha256=aa" in text
    assert "to sha256=bb; to take that: mirror accept-changed root/pypi/demo/demo-1.0.zip" in text
