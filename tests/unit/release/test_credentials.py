"""The promises of release.upload.credentials."""

import json
from pathlib import Path

import pytest
from pymacaroons import MACAROON_V2, Macaroon

from packhorse.errors import PackhorseError
from release import credentials
from release.credentials import Credentials

INDEX = "http://127.0.0.1:3141/company/dev"


class FakeKeyring:
    """Knows the passwords it was given, by service and user."""

    def __init__(self, **passwords: str) -> None:
        self._passwords = passwords

    def get_password(self, service_name: str, username: str) -> str | None:
        """As the keyring package does."""
        assert service_name == f"{INDEX}/"
        return self._passwords.get(username)


def find(
    home: Path, environ: dict[str, str], keyring: FakeKeyring, username: str | None = None
) -> credentials.Credentials:
    return credentials.find(INDEX, username=username, environ=environ, keyring=keyring, home=home)


def mirror(home: Path, url: str = "http://127.0.0.1:3141") -> None:
    folder = home / "mirror"
    folder.mkdir()
    text = json.dumps({"url": url, "users": {"company": "of the mirror", "root": "of root"}})
    folder.joinpath("credentials.json").write_text(text)


def test_the_environment_goes_first_then_the_keyring_then_this_machines_mirror(tmp_path: Path) -> None:
    """What is said for this one run beats what is kept."""
    mirror(tmp_path)
    environment, keyring = {"TWINE_PASSWORD": "of env"}, FakeKeyring(company="of ring")
    assert find(tmp_path, environment, keyring).password == "of env"
    assert find(tmp_path, {}, keyring).password == "of ring"
    assert find(tmp_path, {}, FakeKeyring()).password == "of the mirror"


def test_the_user_is_named_or_the_owner_of_the_index(tmp_path: Path) -> None:
    """company/dev belongs to company: in the common case nobody has to say it."""
    mirror(tmp_path)
    assert find(tmp_path, {}, FakeKeyring()).username == "company"
    assert find(tmp_path, {"TWINE_USERNAME": "root"}, FakeKeyring()).password == "of root"
    assert find(tmp_path, {"TWINE_USERNAME": "root"}, FakeKeyring(ann="hers"), "ann").password == "hers"


def test_who_is_logged_in_uploads(tmp_path: Path) -> None:
    """Otherwise each upload would have to name the user again whose password is in the keyring."""
    credentials.write_users(tmp_path, {INDEX: "ann", "https://other.example.com/x/y": "bob"})
    keyring = FakeKeyring(ann="hers", company="of ring")
    assert find(tmp_path, {}, keyring) == credentials.Credentials("ann", "hers")
    assert find(tmp_path, {"TWINE_USERNAME": "company"}, keyring).username == "company"


def test_an_index_without_an_owner_needs_a_name(tmp_path: Path) -> None:
    with pytest.raises(PackhorseError, match="has no owner in its address"):
        credentials.default_user("https://pypi.example.com", tmp_path)


def test_the_mirrors_passwords_never_go_to_another_server(tmp_path: Path) -> None:
    """The address decides, up to the slash: port 31410 is somebody else."""
    mirror(tmp_path, "http://127.0.0.1:314")
    with pytest.raises(PackhorseError, match="no password of company"):
        find(tmp_path, {}, FakeKeyring())


def test_without_a_password_the_error_names_the_ways_to_give_one(tmp_path: Path) -> None:
    """CI sets the variable, people use the keyring."""
    with pytest.raises(PackhorseError) as caught:
        find(tmp_path, {}, FakeKeyring())
    assert "TWINE_PASSWORD" in caught.value.hint
    assert "release login" in caught.value.hint


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    """It is our own file: say which command makes it again."""
    mirror(tmp_path)
    tmp_path.joinpath("mirror", "credentials.json").write_text("{}")
    with pytest.raises(PackhorseError, match=r"credentials\.json cannot be used"):
        find(tmp_path, {}, FakeKeyring())


def test_a_password_is_in_no_representation_and_can_be_taken_out_of_a_text() -> None:
    """Tracebacks and tools' outputs end up in CI logs."""
    known = credentials.Credentials("company", "s3cret")
    assert "s3cret" not in repr(known)
    assert known.scrub("POST with s3cret") == "POST with ********"


def test_a_token_is_named_by_its_id_and_user() -> None:
    """`__token__` is everybody's; who made the token finds it by its id, and nothing of it is shown."""
    made = Macaroon(identifier="company-4JMPrxpb", key=b"key", version=MACAROON_V2).serialize()
    assert Credentials("__token__", f"devpi-{made}").holder == "token 4JMPrxpb of company"
    assert Credentials("__token__", "devpi-garbage").holder == "this token"
    assert Credentials("company", "s3cret").holder == "company"
    assert "mirror token list" in Credentials("__token__", made).way_to_be_let_in("Upload")
    assert "Promote as another user" in Credentials("company", "s3cret").way_to_be_let_in("Promote")
