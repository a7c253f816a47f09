"""When the page of a mirror stops being fresh."""

from pathlib import Path

from mirror.plugin.pages.expiry import Expiry
from mirror.plugin.pages.store import PageKey, PageStore, Place

DEMO = PageKey("root/pypi", "demo")


class Clock:
    """A clock that tests set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def fresh_page(folder: Path) -> PageStore:
    """A store with one fresh page."""
    store = PageStore(folder / "pages")
    store.empty()
    store.keep(DEMO, ".json.gz", b"", place=Place(fresh=True), is_true=lambda: True)
    return store


def test_a_page_is_fresh_until_its_time_and_not_longer(tmp_path: Path) -> None:
    """nginx would serve it for ever."""
    store, clock = fresh_page(tmp_path), Clock()
    expiry = Expiry(store, clock)
    expiry.note(DEMO, 110)
    assert expiry.expire() == 10
    assert store.read(DEMO, ".json.gz")
    clock.now = 110
    assert expiry.expire() is None
    assert store.read(DEMO, ".json.gz") is None
    assert store.find(DEMO, ".json.gz")


def test_a_page_that_the_upstream_confirmed_stays_fresh(tmp_path: Path) -> None:
    """The first of two times must not end it."""
    store, clock = fresh_page(tmp_path), Clock()
    expiry = Expiry(store, clock)
    expiry.note(DEMO, 110)
    expiry.note(DEMO, 130)
    clock.now = 120
    assert expiry.expire() == 10
    assert store.read(DEMO, ".json.gz")


def test_the_thread_does_it_on_its_own(tmp_path: Path) -> None:
    """Nobody calls when nobody asks."""
    import time

    store = fresh_page(tmp_path)
    Expiry(store).schedule(DEMO, time.time() + 0.2)
    assert store.read(DEMO, ".json.gz")
    end = time.monotonic() + 60
    while store.read(DEMO, ".json.gz") and time.monotonic() < end:
        time.sleep(0.02)
    assert store.read(DEMO, ".json.gz") is None
