"""The quarantine takes damaged uploads out of what is served, and loses none."""

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from mirror.plugin.files.lost_uploads import QUARANTINED
from mirror.plugin.upkeep.stored_files import StoredFiles

if TYPE_CHECKING:
    from collections.abc import Callable

PATH = "company/dev/+f/abc/0123456789abc/own-1.0.zip"


class _Key:
    """devpi's record of a file, in a transaction; `known` is whether there is one."""

    def __init__(self, *, known: bool) -> None:
        self._known = known
        self.value: dict[str, Any] = {}

    def exists(self) -> bool:
        return self._known

    def get_mutable(self) -> dict[str, Any]:
        return self.value

    def set(self, value: dict[str, Any]) -> None:
        self.value = value


class _Mirror:
    """A folder with one index of uploads, and the end of a transaction."""

    def __init__(self, folder: Path, *, known: bool = True) -> None:
        self.folder, self.root = folder, folder / "+files"
        self.key = _Key(known=known)
        self._after: list[Callable[[], object]] = []
        tx = SimpleNamespace(on_commit_success=self._after.append)
        xom: Any = SimpleNamespace(keyfs=SimpleNamespace(tx=tx))
        cached: Any = self
        self.files = StoredFiles(xom, cached)

    def indexes(self) -> list[str]:
        return ["root/pypi"]

    def entry(self, _path: str) -> Any:  # noqa: ANN401 (devpi's)
        return SimpleNamespace(key=self.key)

    def store(self, content: bytes, path: str = PATH) -> Path:
        stored = self.root / path
        stored.parent.mkdir(parents=True, exist_ok=True)
        stored.write_bytes(content)
        return stored

    def commit(self) -> None:
        for each in self._after:
            each()
        self._after.clear()


@pytest.mark.parametrize("known", [True, False])
def test_a_second_quarantine_keeps_what_the_first_one_has(tmp_path: Path, *, known: bool) -> None:
    """Both were uploaded, and perhaps nobody else has either."""
    mirror = _Mirror(tmp_path, known=known)
    kept: list[str] = []
    for content in (b"first", b"second"):
        mirror.store(content)
        kept += mirror.files.quarantine([PATH, PATH]).values()
        mirror.commit()
    assert [(tmp_path / each).read_bytes() for each in kept] == [b"first", b"second"]
    assert not (mirror.root / PATH).exists()


def test_a_file_stays_until_its_record_says_that_it_went(tmp_path: Path) -> None:
    """A kill in between, or a transaction that fails, would lose it for those who look where it was."""
    mirror = _Mirror(tmp_path)
    stored = mirror.store(b"content")
    (where,) = mirror.files.quarantine([PATH]).values()
    assert stored.exists()
    mirror.commit()
    assert not stored.exists()
    assert where.split("/")[1] == mirror.key.value[QUARANTINED]


def test_cached_files_and_what_is_not_here_are_not_moved(tmp_path: Path) -> None:
    mirror = _Mirror(tmp_path)
    cached = mirror.store(b"content", "root/pypi/+f/abc/0123456789abc/demo-1.0.zip")
    outside = mirror.store(b"content", "../secret")
    names = ["root/pypi/+f/abc/0123456789abc/demo-1.0.zip", "../secret", str(outside), PATH]
    assert mirror.files.quarantine(names) == {}
    assert cached.exists()
    assert outside.exists()
