"""What a refresh calls new: what no look before has seen, whatever looks between them have failed to see."""

import contextlib
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from packaging.metadata import parse_email

from mirror import last_refresh
from mirror.offline import refresh
from mirror.offline.refresh import RefreshReport, Used
from mirror.state import Folder
from packhorse.errors import PackhorseError

INDEX = "http://127.0.0.1:3141/company/dev/+simple/"


class Index:
    """A mirror whose page of `demo` lists these versions, perhaps as it knew them long ago."""

    def __init__(self, folder: Path) -> None:
        self._folder = Folder(folder)
        self._folder.root.mkdir(parents=True)

    def new(self, *versions: str, stale: bool = False) -> list[str]:
        """The versions that a look calls new."""
        files = [{"filename": f"demo-{version}-py3-none-any.whl"} for version in versions]
        page = json.dumps({"files": files})
        headers = {refresh.STALE: "1"} if stale else {}
        transport = httpx.MockTransport(lambda _: httpx.Response(200, headers=headers, content=page))
        with httpx.Client(transport=transport) as client:
            found = refresh.refresh(self._folder, INDEX, client, Used({"demo"}, {}), lambda: None)
        assert set(found.failed) == ({"demo"} if stale else set())
        return [each.version for each in found.new]


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return Index(tmp_path)


def test_a_version_is_new_once(index: Index) -> None:
    """The first look has nothing to compare with."""
    assert index.new("1.0") == []
    assert index.new("1.0", "1.1") == ["1.1"]
    assert index.new("1.0", "1.1") == []


def test_the_mirrors_user_reads_what_root_has_noted(index: Index, tmp_path: Path) -> None:
    """After `sudo mirror refresh`; the folder around it is for that user alone."""
    index.new("1.0")
    (record,) = tmp_path.rglob("refresh.json")
    assert record.stat().st_mode & 0o777 == 0o644


def test_what_was_away_for_a_while_is_not_new(index: Index) -> None:
    """A policy withheld it, or the mirror was offline and listed what was cached."""
    index.new("1.0", "1.1")
    assert index.new("1.0") == []
    assert index.new("1.0", "1.1", "1.2") == ["1.2"]


def test_a_wheel_asks_for_projects_in_its_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an upstream they may have 12,000 fields of other names, which a parser of mail takes 15 s for."""
    seen: list[bytes] = []

    def parse(lines: bytes) -> object:
        seen.append(lines)
        return parse_email(lines)

    monkeypatch.setattr(refresh, "parse_email", parse)
    head = b"Name: demo\r\nRequires-Dist: A.b>=1\r\nx1:\r\nrequires-dist: c; extra == 'd'\r\n"
    asked = refresh.required(head + b"\r\nRequires-Dist: described\r\n")
    assert asked == {"a-b", "c"}
    assert b"x1" not in seen[0]


def test_a_look_that_failed_is_forgotten(index: Index) -> None:
    """The page was an old one: neither new nor known is what it lists."""
    index.new("1.0")
    assert index.new("1.0", "1.1", stale=True) == []
    assert index.new("1.0", "1.1") == ["1.1"]


def test_what_came_of_it_is_noted_also_when_it_failed(tmp_path: Path) -> None:
    """`mirror status` and the metrics say so: a timer's journal is read by nobody."""
    folder = Folder(tmp_path)
    folder.root.mkdir()
    page: dict[str, list[str]] = {"files": []}
    new = [refresh.New("demo", "1.1", None)]
    done = refresh.noted(folder, lambda: RefreshReport({"demo": page, "other": page}, new, {}, []))
    assert done.new == new
    found = last_refresh.read(folder.last_refresh)
    assert found
    assert (found.projects, found.new, found.problem) == (2, 1, "")
    assert 0 <= time.time() - found.at < 60
    assert folder.last_refresh.stat().st_mode & 0o777 == 0o644, "root may have looked: the server reads it"
    refresh.noted(folder, lambda: RefreshReport({}, [], {"demo": "the upstream does not answer"}, []))
    assert "1 projects could not be looked for" in str(last_refresh.read(folder.last_refresh))

    def fails() -> RefreshReport:
        raise PackhorseError("The mirror does not serve.", "Start it.")

    with pytest.raises(PackhorseError, match="does not serve"):
        refresh.noted(folder, fails)
    assert str(last_refresh.read(folder.last_refresh)).endswith("failed: The mirror does not serve.")
    with pytest.raises(PackhorseError, match="does not serve"):
        refresh.noted(Folder(tmp_path / "none"), fails)


@pytest.mark.needs("systemd-analyze")
def test_the_next_time_of_a_timer_is_noted_and_kept(tmp_path: Path) -> None:
    """A look that somebody starts by hand, or that fails, says nothing about the timer."""
    folder = Folder(tmp_path)
    folder.root.mkdir()

    def fails() -> RefreshReport:
        raise PackhorseError("The mirror does not serve.", "Start it.")

    def due(look: Callable[[], RefreshReport], *times: str) -> float | None:
        with contextlib.suppress(PackhorseError):
            refresh.noted(folder, look, times)
        found = last_refresh.read(folder.last_refresh)
        assert found
        return found.next

    def works() -> RefreshReport:
        return RefreshReport({}, [], {}, [])

    assert due(works) is None
    monday = due(works, "Mon *-*-* 06:00:00 UTC")
    assert monday
    assert datetime.fromtimestamp(monday, UTC).strftime("%A %H:%M") == "Monday 06:00"
    assert 0 < monday - time.time() <= 7 * 86_400
    assert due(works) == due(fails) == monday
    friday = due(fails, "Fri *-*-* 06:00:00 UTC")
    assert friday != monday


@pytest.mark.parametrize("content", [None, b"", b"[]", b'{"at": 1, "later": 2}', b'{"projects": 1}', b"\xff"])
def test_a_record_that_cannot_be_read_is_none(tmp_path: Path, content: bytes | None) -> None:
    """Of a later version, say: neither the status nor the metrics fail because of it."""
    path = tmp_path / "last-refresh.json"
    if content is not None:
        path.write_bytes(content)
    assert last_refresh.read(path) is None
