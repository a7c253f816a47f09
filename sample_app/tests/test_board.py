"""The board's operations."""

from collections.abc import Callable

import pytest
from sample_app.extensions import db
from sample_app.models import ADMIN, MEMBER, Link, Role, Tag, User, now
from sqlalchemy import func, select

from sample_app import board

pytestmark = pytest.mark.usefixtures("app")
GOOD = {"url": "https://example.com/", "title": "Example"}


def add_user(email: str = "ann@example.com", role: str = MEMBER, *, confirmed: bool = True) -> User:
    """Somebody who has signed up."""
    user = User(email=email, name="Ann", role=db.session.scalars(select(Role).where(Role.name == role)).one())
    user.password_hash = "unused"
    user.confirmed_at = now() if confirmed else None
    db.session.add(user)
    db.session.commit()
    return user


def titles(**options: object) -> list[str]:
    """The titles that a query finds."""
    return [link.title for link in db.session.scalars(board.query(**options))]  # type: ignore[arg-type]


def test_links_are_listed_newest_first_and_leave_by_being_archived() -> None:
    """The archive is a list of its own, and the way back is open."""
    ann = add_user()
    first = board.post(ann, url="https://example.com/1", title="first")
    board.post(ann, url="https://example.com/2", title="second")
    assert titles() == ["second", "first"]
    board.archive(first)
    assert titles() == ["second"]
    assert titles(archived=True) == ["first"]
    board.unarchive(first)
    assert titles() == ["second", "first"]


def test_search_wants_every_word_somewhere_and_takes_them_literally() -> None:
    """`%` and `_` are letters, not patterns."""
    ann = add_user()
    board.post(ann, url="https://example.com/flask", title="Web frameworks", note="compared by 100% of us")
    board.post(ann, url="https://example.com/django", title="Another framework")
    assert titles(search="FLASK compared") == ["Web frameworks"]
    assert titles(search="framework") == ["Another framework", "Web frameworks"]
    assert titles(search="100%") == ["Web frameworks"]
    assert titles(search="1_0%") == []
    assert titles(search="fra\0mework\ud800 another") == ["Another framework"]


def test_tags_are_shared_and_found() -> None:
    """However they were typed, the same tag is one row."""
    ann = add_user()
    one = board.post(ann, **GOOD, tags=["Python", "web dev", "python"])
    board.post(ann, url="https://example.com/2", title="second", tags=["python"])
    assert [tag.name for tag in one.tags] == ["python", "web-dev"]
    assert titles(tag="python") == ["second", "Example"]
    assert titles(tag="web-dev") == ["Example"]
    assert db.session.scalar(select(func.count()).select_from(Tag)) == 2
    board.change(one, **GOOD, tags=["db"])
    assert titles(tag="web-dev") == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "java\nscript:alert(1)",
        "data:text/html,hi",
        "ftp://example.com/",
        "https://",
        "https:///path",
        "https:\\\\example.com",
        "https://example.com\\@example.org/",
        "https://ann:secret@example.com/",
        "https://[::1/",
        "https://example.com:99999/",
        "https://example.com/a b",
        "https://example.com/\0",
        "https://\u202emoc.elpmaxe/",
        "https://exam\u200bple.com/",
        "https://example.com/" + "a" * 2000,
    ],
)
def test_only_whole_addresses_of_the_web_are_stored(url: str) -> None:
    """What a browser would run, or would read differently than a person, is refused."""
    with pytest.raises(board.BoardError) as caught:
        board.post(add_user(), url=url, title="x")
    assert list(caught.value.fields) == ["url"]


@pytest.mark.parametrize("letter", "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
def test_no_text_turns_what_follows_it(letter: str) -> None:
    """A title would show another host after it; other invisible letters belong to Persian, and to emoji."""
    with pytest.raises(board.BoardError) as caught:
        board.post(add_user(), url=GOOD["url"], title=f"a{letter}b", note=letter)
    assert list(caught.value.fields) == ["title", "note"]
    assert not board.has_controls("\u200c\u200d\n")


@pytest.mark.parametrize("end", ["?.bank.example/", "#.bank.example/", ":8000", "/a@bank.example"])
def test_the_host_that_is_shown_is_the_one_that_the_link_leads_to(end: str) -> None:
    """Whatever the rest of the URL makes it look like."""
    board.post(add_user(), url=f"https://evil.example{end}", title="x")
    assert board.rows(board.query(), 1, 20).links[0].host == "evil.example"


def test_every_field_at_fault_is_named() -> None:
    """A form shows them all at once."""
    with pytest.raises(board.BoardError) as caught:
        board.post(add_user(), url="x", title=" ", note="\ud800", tags=[str(number) for number in range(11)])
    assert list(caught.value.fields) == ["url", "title", "note", "tags"]


def test_who_posted_a_link_and_administrators_may_change_it() -> None:
    """Nobody else, and nobody whose address isn't confirmed."""
    ann, bob = add_user(), add_user("bob@example.com")
    admin, unconfirmed = add_user("root@example.com", ADMIN), add_user("new@example.com", confirmed=False)
    link = board.post(ann, **GOOD)
    assert [board.may_change(user, link) for user in (ann, bob, admin)] == [True, False, True]
    assert not board.may_post(unconfirmed)


@pytest.mark.parametrize("fetch", [board.page, board.rows])
def test_pages_know_whether_another_follows(fetch: Callable[..., board.Page[Link]]) -> None:
    """Without counting all rows."""
    ann = add_user()
    for number in range(5):
        board.post(ann, url="https://example.com/", title=str(number))
    pages = [fetch(board.query(), number, 2) for number in (1, 2, 3, 4)]
    assert [[link.title for link in page.links] for page in pages] == [["4", "3"], ["2", "1"], ["0"], []]
    assert [page.more for page in pages] == [True, True, False, False]


def test_rows_show_what_links_are() -> None:
    """With the tags of their own link only."""
    ann = add_user()
    board.post(ann, url="https://www.example.com/a?b", title="one", note="why", tags=["b", "a"])
    board.post(ann, **GOOD, tags=["a"])
    second, first = board.rows(board.query(tag="a"), 1, 20).links
    assert (first.host, first.title, first.note, first.author) == ("example.com", "one", "why", "Ann")
    assert (first.tags, second.tags) == (["a", "b"], ["a"])
    assert first.moment.endswith("+00:00")
    assert board.may_change(ann, first)
