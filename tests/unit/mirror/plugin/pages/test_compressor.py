"""New pages are packed, once no more come."""

import gzip
from pathlib import Path

from mirror.plugin.pages.compressor import Compressor
from mirror.plugin.pages.store import PageKey, PageStore
from tests.support.servers import wait_until

DEMO, OTHER = PageKey("company/dev", "demo"), PageKey("company/dev", "other")


def test_all_new_pages_are_packed(tmp_path: Path) -> None:
    """Those that are gone meanwhile do no harm."""
    store = PageStore(tmp_path / "pages")
    store.empty()
    packing = Compressor(store, quiet=0.01)
    store.keep(DEMO, {".json": b"page"}, is_true=lambda: True)
    for place in (PageKey("company/dev", "gone"), DEMO, OTHER):
        packing.enqueue(place)
    page = wait_until("the page is packed", lambda: store.read(DEMO, [".json.gz"], stale=True))
    assert page
    assert gzip.decompress(page.content) == b"page"
    store.keep(OTHER, {".html": b"other"}, is_true=lambda: True)
    packing.enqueue(OTHER)
    assert wait_until("the next is packed", lambda: store.read(OTHER, [".html.gz"], stale=True))
