"""Finished downloads in devpi's storage; most is tested with real servers."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mirror.plugin.files.storage import DevpiStorage
from mirror.plugin.upstream.page_cache import PageCache


class _Entry:
    """devpi's record of a file."""

    def __init__(self) -> None:
        self.content = b""
        self.in_transaction = False

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.in_transaction = True
        yield
        self.in_transaction = False

    def file_set_content_no_meta(self, content: Any, hashes: Any) -> None:  # noqa: ANN401, ARG002 (devpi's)
        self.content = content.read()

    def file_os_path(self, *, _raises: bool = True) -> str:
        assert self.in_transaction
        assert not _raises  # as devpi does for a file that was written in it
        return "/server/+files/arrived"


def test_a_file_that_a_replica_got_for_a_client_is_no_error_of_replication_any_more(tmp_path: Path) -> None:
    """The status page would show it as missing until the next try."""
    errors: list[_Entry] = []
    entry = _Entry()
    removed = SimpleNamespace(shared_data=SimpleNamespace(errors=SimpleNamespace(remove=errors.append)))
    xom = SimpleNamespace(
        is_replica=lambda: True,
        replica_thread=removed,
        keyfs=SimpleNamespace(filestore_transaction=entry.transaction),
    )
    path = tmp_path / "arrived"
    path.write_bytes(b"content")
    download: Any = SimpleNamespace(request=SimpleNamespace(entry=entry), path=path)
    writes: Any = None  # a replica writes to its primary's database never
    arrived: list[tuple[_Entry, Path]] = []
    DevpiStorage(
        xom,
        writes,
        PageCache(tmp_path / "pages", lambda _: nullcontext()),
        arrived=lambda *each: arrived.append(each),
    ).keep(download, {"sha256": "0" * 64})
    assert (entry.content, errors) == (b"content", [entry])
    assert arrived == [(entry, Path("/server/+files/arrived"))]
