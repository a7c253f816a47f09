"""Pages of the board, and the pages of errors."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sample_app.extensions import db, limiter
from sample_app.models import Link
from sqlalchemy import event, select, text
from support_pages import hidden, make_user, press, sign_in, submit

from sample_app import board

pytestmark = pytest.mark.usefixtures("app")
FORM = {"url": "https://example.com/one", "title": "One", "tags": "python, web dev", "note": "A note"}


@pytest.fixture(autouse=True)
def _fresh_limits(app: Flask) -> None:
    assert app.testing
    limiter.reset()


def test_a_link_is_posted_edited_and_archived(client: FlaskClient) -> None:
    """By who has posted it."""
    make_user()
    sign_in(client)
    assert submit(client, "/links/new", **FORM).location == "/"
    page = client.get("/").text
    assert '<a href="https://example.com/one" rel="noopener nofollow">One</a>' in page
    assert 'href="/?tag=web-dev"' in page
    link = db.session.scalars(select(Link)).one()
    assert 'value="python, web-dev"' in client.get(f"/links/{link.id}/edit").text
    assert submit(client, f"/links/{link.id}/edit?next=/tags", **FORM | {"title": "Two"}).location == "/tags"
    press(client, f"/links/{link.id}/archive")
    assert "Two" not in client.get("/").text
    assert "Two" in client.get("/archive").text
    press(client, f"/links/{link.id}/unarchive")
    assert "Two" in client.get("/").text


def test_what_the_board_refuses_is_said_beside_the_fields(client: FlaskClient) -> None:
    """With all that was typed still there."""
    make_user()
    sign_in(client)
    answer = submit(client, "/links/new", url="javascript:alert(1)", title="", tags="", note="kept")
    assert answer.status_code == 422
    assert "<title>Error: " in answer.text
    assert 'href="#url"' in answer.text
    assert 'aria-describedby="title-help title-error"' in answer.text
    assert ">\nkept</textarea>" in answer.text.replace("\r", "")


def test_who_edits_what_somebody_else_has_changed_meanwhile_is_told(client: FlaskClient) -> None:
    """With all that was typed still there; who saves again has read it."""
    link = board.post(make_user(), **FORM | {"tags": ["a"]})
    sign_in(client)
    form = hidden(client.get(f"/links/{link.id}/edit").text) | FORM
    board.change(link, url="https://example.com/", title="Theirs")
    answer = client.post(f"/links/{link.id}/edit", data=form | {"title": "Mine"})
    assert answer.status_code == 409
    assert "Somebody else has changed this link meanwhile" in answer.text
    assert 'value="Mine"' in answer.text
    assert "Theirs" in client.get("/").text
    again = client.post(f"/links/{link.id}/edit", data=form | hidden(answer.text) | {"title": "Mine"})
    assert again.status_code == 302
    assert "Mine" in client.get("/").text


def test_others_change_nothing(app: Flask, client: FlaskClient) -> None:
    """Not without a session, not with that of another user, and not without the token of the form."""
    link = board.post(make_user(), url="https://example.com/", title="Ann's")
    make_user("ben@example.com")
    assert client.get(f"/links/{link.id}/edit").status_code == 302
    sign_in(client, "ben@example.com")
    assert client.get(f"/links/{link.id}/edit").status_code == 403
    for action in ("archive", "unarchive"):
        assert press(client, f"/links/{link.id}/{action}").status_code == 403
    assert press(client, f"/links/{2**40}/archive").status_code == 404
    assert "Edit" not in client.get("/").text
    ann = app.test_client()
    sign_in(ann)
    answer = ann.post(f"/links/{link.id}/archive")
    assert answer.status_code == 400
    assert "This form has expired" in answer.text
    db.session.refresh(link)
    assert link.archived_at is None


def test_a_list_has_pages_that_know_of_each_other(client: FlaskClient) -> None:
    """The search stays, and what is no page is not found."""
    user = make_user()
    for number in range(41):
        board.post(user, url="https://example.com/", title=f"Link {number} &", tags=["a"])
    page = client.get("/?q=link+%26&tag=a&page=2").text
    assert '<link rel="prev" href="/?q=link%20%26&amp;tag=a&amp;page=1">' in page
    assert '<a rel="next" href="/?q=link%20%26&amp;tag=a&amp;page=3">' in page
    assert 'rel="next"' not in client.get("/?page=3").text
    for wrong in ("0", "-1", "x", "4", "9" * 30, "0" * 8 + "1" + "9" * 20, "²", ""):
        assert client.get(f"/?page={wrong}").status_code == 404, wrong


@pytest.mark.parametrize("query", ["q=%00", "tag=%00", "q=%25", "q='", "q=%ED%A0%80", "tag=" + "x" * 5000])
def test_whatever_is_searched_for_has_an_answer(client: FlaskClient, query: str) -> None:
    """PostgreSQL refuses NUL."""
    assert client.get(f"/?{query}").status_code == 200


def test_a_list_takes_one_query_however_long_it_is(client: FlaskClient) -> None:
    """Links come with users and tags."""
    user = make_user()
    for number in range(20):
        board.post(user, url="https://example.com/", title=str(number), tags=["a", f"b{number}"])
    seen: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda *given: seen.append(given[2]))
    client.get("/")
    assert len(seen) == 1, seen


def test_tags_are_listed_by_use(client: FlaskClient) -> None:
    """Archived links don't count."""
    assert "No tags yet" in client.get("/tags").text
    user = make_user()
    board.post(user, url="https://example.com/", title="1", tags=["rare", "much"])
    board.post(user, url="https://example.com/", title="2", tags=["much"])
    board.archive(board.post(user, url="https://example.com/", title="3", tags=["gone"]))
    assert re.findall(r'href="/\?tag=([a-z]+)"', client.get("/tags").text) == ["much", "rare"]


def test_errors_are_pages_with_a_way_on(app: Flask, client: FlaskClient) -> None:
    """They keep the headers of their status, and tell nothing of the cause."""
    assert client.get("/nothing").status_code == 404
    answer = client.delete("/tags")
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]
    assert client.post("/auth/sign-in", data={"email": "x" * 2**21}).status_code == 413
    app.config["PROPAGATE_EXCEPTIONS"] = False
    with db.engine.begin() as connection:
        connection.execute(text("DROP TABLE link_tags"))
        connection.execute(text("DROP TABLE links"))
    answer = client.get("/")
    assert answer.status_code == 500
    assert "Something broke on our side" in answer.text
    assert "links" not in answer.text.partition("<main")[2].partition("</main")[0]


def test_an_error_of_the_database_has_a_page_for_users_too(app: Flask, client: FlaskClient) -> None:
    """The page of a 500 asks the database nothing."""
    make_user()
    sign_in(client)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    with db.engine.begin() as connection:
        connection.execute(text("ALTER TABLE users RENAME TO lost"))
    answer = client.get("/auth/profile")
    assert answer.status_code == 500
    assert "Something broke on our side" in answer.text


def test_of_two_changes_at_once_the_later_one_is_told(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Instead of undoing what the other one wrote."""
    link = board.post(make_user(), url="https://example.com/", title="first")
    sign_in(client)
    may_change = board.may_change

    def and_somebody_else_writes(user: object, found: Link) -> bool:
        with app.app_context():
            board.change(db.session.get_one(Link, found.id), url="https://example.com/", title="theirs")
        return may_change(user, found)

    with monkeypatch.context() as patched:
        patched.setattr(board, "may_change", and_somebody_else_writes)
        answer = press(client, f"/links/{link.id}/archive")
    assert (answer.status_code, "Somebody else was faster" in answer.text) == (409, True)
    assert "theirs" in client.get("/").text
