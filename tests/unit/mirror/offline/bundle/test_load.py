"""Where a bundle changes something."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mirror.offline.bundle import disk, load
from mirror.offline.bundle.listing import File, Listing
from mirror.offline.bundle.load import HERE
from mirror.packages import yank


@pytest.mark.parametrize(("index", "yanked"), [("company/dev", ["company/dev"]), ("company/prod", [])])
def test_a_yank_comes_to_the_index_that_is_loaded_into_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, index: str, yanked: list[str]
) -> None:
    """Who may load into an index of tests does not withdraw what production installs."""
    file = File("demo", "demo-1.0.tar.gz", 1, "0" * 64, own=True, yanked="broken")
    state = {file.filename: {"state": HERE, "reason": "", "index": index, "yanked": False}}
    found: list[str] = []
    target: Any = SimpleNamespace(
        api=None,
        index="company/dev",
        takes_uploads=True,
        accepted=frozenset(),
        offer=lambda *_: state,
        store_provenance=lambda *_: "",
    )
    monkeypatch.setattr(disk, "read", lambda _: Listing((file,)))
    monkeypatch.setattr(disk, "problem", lambda *_: "")
    monkeypatch.setattr(yank, "yank", lambda _api, where, *_: found.append(where))
    (loaded,) = load.load(tmp_path, target, None, lambda: None)
    assert (loaded.state, loaded.index, found) == (HERE, index, yanked)
