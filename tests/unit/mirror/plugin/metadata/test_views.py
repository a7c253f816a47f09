"""What pages say of metadata: the same whether a row had to be read or not."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mirror.plugin.metadata.store import MetadataStore, WheelKey
from mirror.plugin.metadata.views import MetadataViews
from mirror.plugin.simple.file_rows import ProjectFile

SHA, OFFERED = "ab" * 32, {"sha256": "cd" * 32}
WHEEL = ProjectFile(
    "demo-1.0-py3-none-any.whl", "root/pypi/+f/a/b/demo-1.0-py3-none-any.whl", "https://x", {"sha256": SHA}
)
FILES = [
    WHEEL._replace(core_metadata=OFFERED),
    WHEEL._replace(core_metadata=True),
    WHEEL._replace(filename="demo-1.0.zip"),
    WHEEL._replace(url="", core_metadata=OFFERED),
]


def metadata(folder: Path) -> MetadataViews:
    """With a store in `folder`, and an upstream that nobody asks."""
    fetcher: Any = SimpleNamespace(offline=False)
    nothing: Any = SimpleNamespace()
    return MetadataViews(nothing, fetcher, nothing, MetadataStore(folder), nothing)


@pytest.mark.parametrize("file", FILES)
def test_what_is_said_without_a_look_is_what_a_look_says(tmp_path: Path, file: ProjectFile) -> None:
    """The shortcut for pages of thousands must not be seen."""
    (shown,) = metadata(tmp_path).completed([file])
    assert shown.core_metadata == metadata(tmp_path).advertised(file)


@pytest.mark.parametrize("hashes", [{"sha256": SHA}, {"md5": "ef" * 16}])
def test_a_broken_wheel_is_not_advertised_and_what_is_here_is_stated(
    tmp_path: Path, hashes: dict[str, str]
) -> None:
    """Whatever kind of hash it is known by."""
    wheel = WHEEL._replace(hashes=hashes, core_metadata=True)
    key = WheelKey.of(wheel.path, hashes)
    assert key is not None
    assert [file.core_metadata for file in metadata(tmp_path).completed([wheel])] == [True]
    MetadataStore(tmp_path / "broken").keep_broken(key, "no zip archive")
    assert [file.core_metadata for file in metadata(tmp_path / "broken").completed([wheel])] == [False]
    known = MetadataStore(tmp_path / "known").keep(key, b"Name: demo")
    assert [file.core_metadata for file in metadata(tmp_path / "known").completed([wheel])] == [
        {"sha256": known}
    ]


def test_a_wheel_without_a_usable_hash_has_no_metadata(tmp_path: Path) -> None:
    """It could not be filed."""
    assert [file.core_metadata for file in metadata(tmp_path).completed([WHEEL._replace(hashes={})])] == [
        False
    ]


def test_what_another_index_says_of_the_same_wheel_is_not_shown(tmp_path: Path) -> None:
    """An upstream needs only its hash, which every page tells."""
    MetadataStore(tmp_path).keep(WheelKey("root/other", SHA), b"Name: demo\nRequires-Dist: evil\n")
    (shown,) = metadata(tmp_path).completed([WHEEL._replace(core_metadata=OFFERED)])
    assert shown.core_metadata == OFFERED
