"""What several tests of pages do: sign somebody up, confirm, sign in."""

import re
from urllib.parse import quote

from flask.testing import FlaskClient
from sample_app.auth import accounts, confirmation
from sample_app.models import User
from werkzeug.test import TestResponse

PASSWORD = "a long enough one"


def make_user(email: str = "ann@example.com", *, confirmed: bool = True, name: str = "Ann") -> User:
    """Somebody who has signed up, and has followed the link in the mail."""
    accounts.sign_up(name=name, email=email, password=PASSWORD)
    user = User.find(email)
    assert user
    if confirmed:
        accounts.confirm(user)
    return user


def token_of(client: FlaskClient, path: str) -> str:
    """The token in the form at `path`, without which it is refused."""
    page = client.get(path)
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
    assert found, page.text
    return found[1]


def hidden(page: str) -> dict[str, str]:
    """The hidden fields of the form of a page."""
    return dict(re.findall(r'name="(\w+)" type="hidden" value="([^"]*)"', page))


def submit(client: FlaskClient, path: str, **fields: str) -> TestResponse:
    """Fill in the form at `path` as a browser does, with the hidden fields that are in it."""
    page = client.get(path)
    found = hidden(page.text)
    assert "csrf_token" in found, page.text
    return client.post(path, data=found | fields)


def sign_in(
    client: FlaskClient, email: str = "ann@example.com", password: str = PASSWORD, target: str = ""
) -> TestResponse:
    """Send the form of the sign-in; `target`: where it is to lead."""
    return submit(client, f"/auth/sign-in?next={quote(target)}", email=email, password=password)


def press(client: FlaskClient, action: str) -> TestResponse:
    """Press a button of a page: POST with the token that the session's forms have."""
    token = client.get("/auth/sign-in").text.partition('name="csrf_token" type="hidden" value="')[2]
    return client.post(action, data={"csrf_token": token.partition('"')[0]})


def confirm_path(user: User) -> str:
    """Where the link in the mail leads."""
    return f"/auth/confirm?token={confirmation.token(user)}"
