"""What an upstream said of a wheel, once the wheel is here."""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mirror.plugin.metadata import stored_wheel
from mirror.plugin.metadata.store import MetadataStore, WheelKey
from mirror.plugin.upstream.page_cache import PageCache
from tests.support.dists import broken_wheel, wheel

DIST = wheel("demo", "1.0")
BROKEN = broken_wheel("demo", "1.0", "garbage")


@pytest.mark.parametrize(
    ("content", "said", "left", "is_other"),
    [
        (DIST.content, DIST.metadata, DIST.metadata, False),
        (DIST.content, b"Name: demo\nRequires-Dist: evil\n", DIST.metadata, True),
        (DIST.content, None, None, False),
        (BROKEN.content, b"Name: demo\n", None, True),
        (None, b"Name: demo\n", b"Name: demo\n", False),
    ],
)
def test_a_wheel_that_arrives_is_believed_instead_of_its_upstream(
    tmp_path: Path,
    content: bytes | None,
    said: bytes | None,
    left: bytes | None,
    is_other: bool,  # noqa: FBT001
) -> None:
    """Resolvers would go by what the wheel does not say; nobody has looked into it before."""
    store, path = MetadataStore(tmp_path / "metadata"), tmp_path / DIST.filename
    entry: Any = SimpleNamespace(
        relpath=f"root/pypi/+f/abc/def/{DIST.filename}",
        hashes={"sha256": DIST.sha256},
        basename=DIST.filename,
        project="demo",
    )
    key = WheelKey("root/pypi", DIST.sha256)
    if said:
        store.keep(key, said)
    if content:
        path.write_bytes(content)
    changed: list[str] = []

    def changing(projects: Iterable[str]) -> AbstractContextManager[None]:
        changed.extend(projects)
        return nullcontext()

    pages = PageCache(tmp_path / "pages", changing)
    assert stored_wheel.correct(store, pages, entry, path) is is_other
    assert (store.read(key), changed) == (left, ["demo"] if is_other else [])
