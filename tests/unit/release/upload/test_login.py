"""A password is kept in the keyring when the index has accepted it, and nowhere else."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from keyring.errors import KeyringError, NoKeyringError

from packhorse.errors import PackhorseError
from release import credentials
from release.credentials import Credentials
from release.index import Response
from release.upload import login

INDEX = "https://pypi.example.com/company/dev"
ANN = Credentials("ann", "s3cret ü")


class FakeKeyring:
    """Keeps passwords unless it is `broken`, or `forgets` them."""

    def __init__(self, broken: KeyringError | None = None, *, forgets: bool = False) -> None:
        self.kept: dict[tuple[str, str], str] = {}
        self.broken, self.forgets = broken, forgets

    def get_password(self, service_name: str, username: str) -> str | None:
        if self.broken:
            raise self.broken
        return self.kept.get((service_name, username))

    def set_password(self, service_name: str, username: str, password: str) -> None:
        if self.broken:
            raise self.broken
        if not self.forgets:
            self.kept[service_name, username] = password

    def delete_password(self, service_name: str, username: str) -> None:
        del self.kept[service_name, username]


def index(url: str, headers: Mapping[str, str]) -> Response:
    """As devpi answers: it has one user, ann."""
    assert url == f"{INDEX}/+api"
    given = base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode()
    status = "ok" if given == f"{ANN.username}:{ANN.password}" else "noauth"
    return Response(url, 200, body=json.dumps({"result": {"authstatus": [status, "ann", []]}}).encode())


def test_who_has_logged_in_uploads_until_the_logout(tmp_path: Path) -> None:
    keyring = FakeKeyring()
    login.log_in(INDEX, ANN, keyring=keyring, home=tmp_path, ask=index)

    def found() -> Credentials:
        return credentials.find(INDEX, username=None, environ={}, keyring=keyring, home=tmp_path)

    assert found() == ANN
    assert ANN.password not in (tmp_path / credentials.LOGINS).read_text()
    assert login.log_out(INDEX, None, keyring=keyring, home=tmp_path) == "ann"
    assert keyring.kept == {}
    with pytest.raises(PackhorseError, match="no password of company"):
        found()
    assert login.log_out(INDEX, None, keyring=keyring, home=tmp_path) is None


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            Response(INDEX, 200, body=b'{"result": {"authstatus": ["noauth", "", []]}}'),
            "refuses the password",
        ),
        (Response(INDEX, 401), "refuses the password"),
        (Response(INDEX, 429), "takes no more passwords"),
        (Response(INDEX, 302), "does not say whether a password is right: it answered 302"),
        (Response(INDEX, 200, body=b"<html>"), "does not say whether"),
        (Response(INDEX, 200, body=b"[]"), "does not say whether"),
    ],
)
def test_what_the_index_does_not_accept_is_not_kept(answer: Response, message: str, tmp_path: Path) -> None:
    """A typing error would come up with the next upload, perhaps of somebody else."""
    keyring = FakeKeyring()
    with pytest.raises(PackhorseError, match=message) as caught:
        login.log_in(INDEX, ANN, keyring=keyring, home=tmp_path, ask=lambda *_: answer)
    assert keyring.kept == {}
    assert not (tmp_path / credentials.LOGINS).exists()
    assert ANN.password not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    "keyring",
    [
        FakeKeyring(NoKeyringError("No recommended backend was available.\nInstall one")),
        FakeKeyring(KeyringError()),
        FakeKeyring(forgets=True),
    ],
)
def test_a_machine_without_a_keyring_says_so_in_two_lines(keyring: FakeKeyring, tmp_path: Path) -> None:
    """Servers and CI have none; keyring's own text is longer, and does not know TWINE_PASSWORD."""
    with pytest.raises(PackhorseError, match="keyring of this machine cannot be used") as caught:
        login.log_in(INDEX, ANN, keyring=keyring, home=tmp_path, ask=index)
    assert "\n" not in caught.value.message
    assert "TWINE_PASSWORD" in caught.value.hint
    assert not (tmp_path / credentials.LOGINS).exists()


def test_an_index_that_is_down_is_named(tmp_path: Path) -> None:
    def ask(_url: str, _headers: Mapping[str, str]) -> Response:
        raise ConnectionRefusedError(111, "Connection refused")

    with pytest.raises(PackhorseError, match="cannot be reached: Connection refused"):
        login.log_in(INDEX, ANN, keyring=FakeKeyring(), home=tmp_path, ask=ask)
