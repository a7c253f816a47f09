"""Sign up, confirm, sign in and out, passwords, API tokens."""

import re
from io import BytesIO

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sample_app.auth import accounts
from sample_app.extensions import db, limiter
from sample_app.forms import safe_next
from sample_app.models import Token, User, digest
from sqlalchemy import func, select
from support_pages import PASSWORD, confirm_path, make_user, press, sign_in, submit, token_of
from werkzeug.security import check_password_hash

pytestmark = pytest.mark.usefixtures("app")
FORM = {"name": "Ann", "email": "Ann@Example.com", "password": PASSWORD}


@pytest.fixture(autouse=True)
def _fresh_limits(app: Flask) -> None:
    assert app.testing
    limiter.reset()


def test_somebody_signs_up_and_confirms_and_is_in(client: FlaskClient) -> None:
    """The link in the mail and the password, together, prove the mailbox and its owner."""
    assert submit(client, "/auth/sign-up", **FORM).location == "/auth/sent"
    user = User.find("ann@example.com")
    assert user
    assert user.confirmed_at is None
    assert sign_in(client).status_code == 422
    assert "the password that you chose" in submit(client, confirm_path(user), password="another one").text
    assert submit(client, confirm_path(user), password=PASSWORD).location == "/"
    assert "Sign out" in client.get("/").text
    assert client.get(confirm_path(user)).location == "/auth/sign-in"


def test_who_was_first_with_an_address_does_not_keep_it(client: FlaskClient) -> None:
    """Somebody signs up with Ann's address; Ann signs up, confirms, and hers is the password that counts."""
    submit(client, "/auth/sign-up", **FORM | {"password": "known to the thief"})
    submit(client, "/auth/sign-up", **FORM)
    user = User.find("ann@example.com")
    assert user
    assert submit(client, confirm_path(user), password="known to the thief").status_code == 200
    assert submit(client, confirm_path(user), password=PASSWORD).status_code == 302


def test_who_signs_up_at_the_moment_of_confirming_does_not_get_the_account(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the password that was compared is confirmed."""
    user = make_user(confirmed=False)
    path = confirm_path(user)

    def and_the_thief_signs_up(self: User, password: str) -> bool:
        with app.app_context():
            accounts.sign_up(name="Thief", email="ann@example.com", password="known to the thief")
        return check_password_hash(self.password_hash, password)

    monkeypatch.setattr(User, "has_password", and_the_thief_signs_up)
    assert "the password that you chose" in submit(client, path, password=PASSWORD).text
    db.session.refresh(user)
    assert user.confirmed_at is None


def test_who_confirms_at_the_moment_of_signing_up_again_keeps_the_account(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other way round."""
    user = make_user(confirmed=False)

    def and_ann_confirms(_: User) -> None:
        with app.app_context():
            accounts.confirm(db.session.get_one(User, user.id))

    monkeypatch.setattr(accounts, "ask_for_mail", and_ann_confirms)
    accounts.sign_up(name="Thief", email="ann@example.com", password="known to the thief")
    db.session.refresh(user)
    assert user.confirmed_at
    assert (user.name, user.has_password(PASSWORD)) == ("Ann", True)


def test_a_confirmed_account_is_not_changed_by_signing_up_again(client: FlaskClient) -> None:
    """And the answer is the same as for a new address."""
    user = make_user()
    answer = submit(client, "/auth/sign-up", **FORM | {"password": "known to the thief"})
    assert answer.location == "/auth/sent"
    db.session.refresh(user)
    assert user.has_password(PASSWORD)
    assert db.session.scalar(select(func.count()).select_from(User)) == 1


def test_answers_do_not_tell_which_addresses_are_known(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by their text, nor by a hash that is computed for some of them only."""
    make_user()
    make_user("new@example.com", confirmed=False)
    hashes = []
    check = accounts.check_password_hash
    monkeypatch.setattr(accounts, "check_password_hash", lambda *got: hashes.append(got) or check(*got))
    pages = []
    for email in ("ann@example.com", "new@example.com", "nobody@example.com"):
        page = sign_in(client, email, "not the password").text
        pages.append(re.sub(r'value="[^"]*"', "", page))
        assert submit(client, "/auth/resend", email=email).location == "/auth/sent"
    assert len(set(pages)) == 1
    assert len(hashes) == 3


@pytest.mark.parametrize("token", ["nonsense", "WzEsImEiXQ.aaaaaa.bbbb", "%00", "é"])
def test_a_link_that_was_never_in_a_mail_confirms_nothing(client: FlaskClient, token: str) -> None:
    """It leads to a way to a new one."""
    answer = client.get(f"/auth/confirm?token={token}")
    assert answer.status_code == 404
    assert "Send me a new one" in answer.text


def test_only_a_confirmed_address_makes_an_administrator(app: Flask) -> None:
    """ADMINS is in whatever case."""
    app.config["SETTINGS"] = app.config["SETTINGS"].model_copy(update={"admins": ("ANN@example.com",)})
    user = make_user(confirmed=False)
    assert not user.is_admin
    accounts.confirm(user)
    assert user.is_admin
    assert not make_user("ben@example.com").is_admin


@pytest.mark.parametrize(
    ("target", "place"),
    [
        ("/links/new?a=b", "/links/new?a=b"),
        ("", "/"),
        ("https://example.org/", "/"),
        ("//example.org", "/"),
        ("/\\example.org", "/"),
        ("/\t/example.org", "/"),
        ("\\\\example.org", "/"),
        ("javascript:alert(1)", "/"),
        ("///example.org", "/"),
        ("//[", "/"),
    ],
)
def test_a_sign_in_leads_only_to_pages_of_this_site(app: Flask, target: str, place: str) -> None:
    """Browsers read more than two slashes as another host."""
    with app.test_request_context():
        assert safe_next(target) == place


def test_a_sign_in_goes_on_where_it_was_asked_for(client: FlaskClient) -> None:
    """The session is a new one."""
    make_user()
    asked = client.get("/links/new").location
    assert asked == "/auth/sign-in?next=%2Flinks%2Fnew"
    with client.session_transaction() as before:
        before["of"] = "somebody else"
    assert sign_in(client, target="/links/new").location == "/links/new"
    with client.session_transaction() as begun:
        assert "of" not in begun
    assert press(client, "/auth/sign-out").location == "/"
    assert client.get("/links/new").location == asked


def test_many_attempts_are_stopped_for_one_account_and_for_one_address(
    app: Flask, client: FlaskClient
) -> None:
    """Also with the right password, else guessing would go on. Others and other accounts are not touched."""
    make_user()
    make_user("ben@example.com")
    for _ in range(10):
        assert sign_in(client, password="wrong").status_code == 422
    answer = sign_in(client)
    assert answer.status_code == 429
    assert answer.headers["Retry-After"].isdigit()
    assert "Wait 1" in answer.text or "Wait a minute" in answer.text
    elsewhere = app.test_client()
    elsewhere.environ_base["REMOTE_ADDR"] = "192.0.2.7"
    assert sign_in(elsewhere).status_code == 302
    assert sign_in(elsewhere, "ben@example.com").status_code == 302
    for number in range(20):
        sign_in(client, f"user{number}@example.com", "wrong")
    assert sign_in(client, "ben@example.com").status_code == 429


def test_guesses_from_many_networks_are_stopped_too(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a hundred in an hour, of which one network may have forty."""
    make_user()
    monkeypatch.setattr(accounts, "check_password_hash", lambda *_: False)
    for number in range(101):
        visitor = app.test_client()
        visitor.environ_base["REMOTE_ADDR"] = f"192.0.2.{number}"
        answer = sign_in(visitor, password="wrong")
        assert answer.status_code == (422 if number < 100 else 429)


def test_the_password_is_asked_for_ten_times_with_every_spelling_of_a_link(client: FlaskClient) -> None:
    """Characters that base64 doesn't have are skipped by Python."""
    path = confirm_path(make_user(confirmed=False))
    codes = [submit(client, path + "é" * number, password="wrong").status_code for number in range(11)]
    assert codes == [200] * 10 + [429]


def test_mails_that_others_ask_for_keep_nobody_out(app: Flask, client: FlaskClient) -> None:
    """They are counted apart from attempts to sign in."""
    make_user()
    for number in range(11):
        visitor = app.test_client()
        visitor.environ_base["REMOTE_ADDR"] = f"192.0.2.{number}"
        answer = submit(visitor, "/auth/resend", email="ann@example.com")
        assert answer.status_code == (302 if number < 10 else 429)
    assert sign_in(client).status_code == 302


def test_addresses_of_one_ipv6_subscriber_count_together(app: Flask) -> None:
    """Who has a /64 has 2**64 addresses."""
    for number in range(20):
        visitor = app.test_client()
        visitor.environ_base["REMOTE_ADDR"] = f"2001:db8::{number:x}"
        sign_in(visitor, f"user{number}@example.com", "wrong")
    visitor.environ_base["REMOTE_ADDR"] = "2001:db8::ffff"
    assert sign_in(visitor, "other@example.com", "wrong").status_code == 429
    visitor.environ_base["REMOTE_ADDR"] = "2001:db8:0:1::1"
    assert sign_in(visitor, "other@example.com", "wrong").status_code == 422


@pytest.mark.parametrize("sent", [[1], 5, "x", {"email": 5}, {"password": 5}, FORM | {"email": "\ud800@x.y"}])
def test_forms_take_no_json(client: FlaskClient, sent: object) -> None:
    """Its values may be anything, and the limit of attempts for an account would not see whose it is."""
    make_user()
    for path in ("/auth/sign-in", "/auth/sign-up", "/auth/resend"):
        headers = {"X-CSRFToken": token_of(client, path)}
        assert "Enter your address" in client.post(path, json=sent, headers=headers).text


def test_forms_take_no_files_and_no_control_characters(client: FlaskClient) -> None:
    """PostgreSQL refuses NUL."""
    sent = {
        "csrf_token": token_of(client, "/auth/sign-in"),
        "password": "x",
        "email": (BytesIO(b"x"), "name"),
    }
    assert "Enter your address" in client.post("/auth/sign-in", data=sent).text
    assert "Leave out control characters" in sign_in(client, "a\0b").text


def test_a_new_password_ends_other_sessions(app: Flask, client: FlaskClient) -> None:
    """It needs the current one."""
    make_user()
    other = app.test_client()
    sign_in(client)
    sign_in(other)
    new = {"password": "another long one", "again": "another long one"}
    assert "That is not your current" in submit(client, "/auth/password", current="wrong", **new).text
    assert (
        "The two new passwords differ"
        in submit(client, "/auth/password", current=PASSWORD, password="another long one", again="else").text
    )
    assert submit(client, "/auth/password", current=PASSWORD, **new).status_code == 302
    assert client.get("/auth/profile").status_code == 200
    assert other.get("/auth/profile").status_code == 302


def test_after_a_new_password_tokens_are_looked_at(client: FlaskClient) -> None:
    """They still work: their owner decides which of them somebody else may have."""
    make_user()
    sign_in(client)
    submit(client, "/auth/tokens", label="nightly import")
    new = {"password": "another long one", "again": "another long one"}
    assert submit(client, "/auth/password", current=PASSWORD, **new).location == "/auth/tokens"
    assert "Your API tokens still work" in client.get("/auth/tokens").text


def test_a_name_is_changed_and_stays_text(client: FlaskClient) -> None:
    """Templates escape it."""
    make_user()
    sign_in(client)
    submit(client, "/auth/profile", name="<b>Ann</b> ")
    assert "&lt;b&gt;Ann&lt;/b&gt;" in client.get("/").text
    assert "Leave out control characters" in submit(client, "/auth/profile", name="A\0nn").text
    assert "Leave out control characters" in submit(client, "/auth/profile", name="\u202eAnn").text


def test_a_token_is_shown_once_and_revoked_by_its_owner_only(app: Flask, client: FlaskClient) -> None:
    """The database has its digest."""
    make_user()
    make_user("ben@example.com")
    sign_in(client)
    shown = submit(client, "/auth/tokens", label="nightly import")
    found = re.search(r'id="secret"[^>]*>(links_[^<]+)<', shown.text)
    assert found
    token = db.session.scalars(select(Token)).one()
    assert token.digest == digest(found[1])
    assert shown.headers["Cache-Control"] == "no-store"
    assert found[1] not in client.get("/auth/tokens").text
    other = app.test_client()
    sign_in(other, "ben@example.com")
    assert press(other, f"/auth/tokens/{token.id}/revoke").status_code == 404
    assert press(client, f"/auth/tokens/{2**70}/revoke").status_code == 404
    assert press(client, f"/auth/tokens/{token.id}/revoke").status_code == 302
    assert db.session.scalar(select(func.count()).select_from(Token)) == 0


def test_cookies_are_out_of_reach_for_scripts_and_other_sites(client: FlaskClient) -> None:
    """And go over https only, where HTTPS is set (test_security)."""
    cookie = client.get("/auth/sign-in").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
