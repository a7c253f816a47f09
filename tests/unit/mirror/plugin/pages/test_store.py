"""Pages as files: when they appear, when they go, and what a client can tell them apart by."""

import threading
from pathlib import Path

import pytest

from mirror.plugin.pages.store import PageKey, PageStore, Place, StoredPage

DEV = PageKey("company/dev", "demo")
PYPI = PageKey("root/pypi", "demo")
OTHER = PageKey("root/pypi", "other")
PAGE = (".json.gz", b"page")


@pytest.fixture
def store(tmp_path: Path) -> PageStore:
    """An empty store whose clock stands still."""
    store = PageStore(tmp_path / "pages", clock=lambda: 1000.5)
    store.empty()
    return store


def keep(store: PageStore, *places: PageKey) -> None:
    """Fresh pages."""
    for place in places:
        store.keep(place, *PAGE, place=Place(fresh=True), is_true=lambda: True)


def test_what_is_kept_is_read_again(store: PageStore) -> None:
    """The bytes that nginx sends are those that we send."""
    mtime = store.keep(DEV, *PAGE, is_true=lambda: True)
    assert store.find(DEV, ".json.gz") == StoredPage(b"page", mtime)
    assert store.find(DEV, ".html.gz") is None


def test_a_page_is_shown_without_a_question_only_once_it_is_called_fresh(store: PageStore) -> None:
    """The folder `fresh` is what nginx serves on its own."""
    store.keep(DEV, *PAGE, is_true=lambda: True)
    assert store.read(DEV, ".json.gz") is None
    store.move(DEV, fresh=True)
    assert store.read(DEV, ".json.gz")
    store.move(DEV, fresh=False)
    assert store.read(DEV, ".json.gz") is None
    assert store.find(DEV, ".json.gz")


def test_a_write_removes_the_project_on_all_indexes_before_it_happens(store: PageStore) -> None:
    """Who inherits from whom needs no bookkeeping, and a crash in the middle leaves no old page."""
    keep(store, DEV, PYPI, OTHER)
    with store.changing(["demo"]):
        assert store.find(DEV, ".json.gz") is None
        assert store.find(PYPI, ".json.gz") is None
    assert store.read(OTHER, ".json.gz")


def test_a_change_of_indexes_removes_everything(store: PageStore) -> None:
    """Bases, whitelists and mirror URLs decide about every page."""
    keep(store, DEV, OTHER)
    with store.changing(None):
        assert store.find(OTHER, ".json.gz") is None


def test_a_page_that_was_overtaken_by_a_write_is_never_kept(store: PageStore) -> None:
    """It was rendered from the state before."""
    mtime = store.keep(DEV, *PAGE, is_true=lambda: False)
    assert store.find(DEV, ".json.gz") is None
    assert mtime, "the client that asked still gets a page with an ETag"


def test_no_page_appears_while_a_write_commits(store: PageStore) -> None:
    """The question whether a page is still true is asked after the write, not in its middle."""
    order = []

    def is_true() -> bool:
        order.append("asked")
        return False

    with store.changing(["demo"]):
        keeper = threading.Thread(target=store.keep, args=(DEV, *PAGE), kwargs={"is_true": is_true})
        keeper.start()
        keeper.join(0.2)
        order.append("committed")
    keeper.join()
    assert order == ["committed", "asked"]


def test_what_a_commit_sets_off_does_not_wait_for_the_commit(store: PageStore) -> None:
    """A listener that drops a page would otherwise stop the server for good."""
    keep(store, OTHER)
    with store.changing(["demo"]), store.changing(["other"]):
        pass
    assert store.find(OTHER, ".json.gz") is None


def test_two_pages_of_a_place_never_share_second_and_size(store: PageStore, tmp_path: Path) -> None:
    """nginx's ETag is made of these two; the clock stands still here, and a restart changes nothing."""
    etags = []
    for content in (b"one", b"two"):
        store.keep(DEV, ".json.gz", content, is_true=lambda: True)
        page = store.find(DEV, ".json.gz")
        assert page
        etags.append(page.etag)
    restarted = PageStore(tmp_path / "pages", clock=lambda: 1000.5)
    restarted.empty()
    restarted.keep(DEV, ".json.gz", b"six", is_true=lambda: True)
    page = restarted.find(DEV, ".json.gz")
    assert page
    assert len({*etags, page.etag}) == 3


def test_the_etag_is_what_nginx_makes_of_the_file(store: PageStore) -> None:
    """A client that was answered by one asks the other whether it has changed."""
    store.keep(DEV, *PAGE, is_true=lambda: True)
    page = store.find(DEV, ".json.gz")
    assert page
    assert page.etag == '"3e8-4"'  # second 1000, 4 bytes


def test_a_start_forgets_everything(store: PageStore, tmp_path: Path) -> None:
    """Nobody knows what happened to devpi's data meanwhile."""
    keep(store, DEV)
    again = PageStore(tmp_path / "pages")
    again.empty()
    assert again.find(DEV, ".json.gz") is None
    assert not list((tmp_path / "pages" / "scratch").iterdir())


def test_pages_can_be_read_by_another_user(store: PageStore, tmp_path: Path) -> None:
    """nginx is not devpi's user; files of the two must not depend on a umask."""
    keep(store, DEV)
    kept = tmp_path / "pages" / "fresh" / "demo" / "company" / "dev.json.gz"
    assert kept.stat().st_mode & 0o777 == 0o644
    assert all(parent.stat().st_mode & 0o005 == 0o005 for parent in list(kept.parents)[:4])


@pytest.mark.parametrize(
    "place",
    [
        PageKey("../..", "demo"),
        PageKey("root/pypi", ".."),
        PageKey("root/.hidden", "demo"),
        PageKey("a/b", "De/mo"),
    ],
)
def test_names_that_could_leave_the_folder_are_not_kept(
    store: PageStore, place: PageKey, tmp_path: Path
) -> None:
    """devpi allows dots in names of users and indexes."""
    before = sorted(tmp_path.rglob("*"))
    store.keep(place, *PAGE, is_true=lambda: True)
    store.move(place, fresh=True)
    assert store.find(place, ".json.gz") is None
    assert sorted(tmp_path.rglob("*")) == before


def test_a_protected_page_is_not_where_nginx_looks_for_public_ones(store: PageStore, tmp_path: Path) -> None:
    """Nobody can see the name of the folder that it is in but by a login."""
    store.keep(DEV, *PAGE, place=Place(fresh=True, protected=True), is_true=lambda: True)
    assert store.read(DEV, PAGE[0]) is None
    assert store.find(DEV, PAGE[0])
    assert not list((tmp_path / "pages" / "fresh").rglob("*.gz"))
    granted = tmp_path / "pages" / "granted"
    assert granted.stat().st_mode & 0o777 == 0o711
    store.link("company/dev/files", tmp_path, protected=True, is_true=lambda: True)
    assert store.is_linked("company/dev/files")
    assert not (tmp_path / "pages" / "open").exists()
    store.move(DEV, fresh=False)
    assert len(list((granted / store.granted() / "stale").rglob("*.gz"))) == 1


def test_the_secret_ends_with_each_change_of_a_login_or_a_right(store: PageStore) -> None:
    """What nginx has cached is worth nothing then; an upload changes nothing about it."""
    before = store.granted()
    with store.changing([DEV.project]):
        pass
    assert store.granted() == before
    store.keep(DEV, *PAGE, place=Place(fresh=True, protected=True), is_true=lambda: True)
    with store.changing([DEV.project]):
        assert store.find(DEV, PAGE[0]) is None
    with store.changing(None):
        pass
    assert store.granted() != before
