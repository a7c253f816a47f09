"""What a refresh calls new: what no look before has seen, whatever looks between them have failed to see."""

import json
from pathlib import Path

import httpx
import pytest

from mirror.offline import refresh
from mirror.offline.refresh import Used
from mirror.state import Folder

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


def test_what_was_away_for_a_while_is_not_new(index: Index) -> None:
    """A policy withheld it, or the mirror was offline and listed what was cached."""
    index.new("1.0", "1.1")
    assert index.new("1.0") == []
    assert index.new("1.0", "1.1", "1.2") == ["1.2"]


def test_a_look_that_failed_is_forgotten(index: Index) -> None:
    """The page was an old one: neither new nor known is what it lists."""
    index.new("1.0")
    assert index.new("1.0", "1.1", stale=True) == []
    assert index.new("1.0", "1.1") == ["1.1"]
