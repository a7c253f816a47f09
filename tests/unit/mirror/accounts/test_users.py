"""mirror.accounts.users: what is asked of the server, what is kept, and what users are told."""

from pathlib import Path
from typing import Any

import pytest

from mirror import state
from mirror.accounts import users
from mirror.api import RefusedError
from mirror.config import MirrorConfig
from mirror.state import Credentials, Folder
from packhorse.errors import PackhorseError

INDEXES = {"dev": {"type": "stage", "acl_upload": ["company", "anna"]}}
FOUND = {
    "root": {"username": "root"},
    "company": {"username": "company", "indexes": INDEXES},
    "anna": {"username": "anna", "email": "anna@example.com"},
}


class _Api:
    """A server with these users, which refuses changes when it is told to."""

    def __init__(self, *, fails: PackhorseError | None = None) -> None:
        self.changes: list[tuple[str, str, object]] = []
        self._fails = fails

    def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 (as Api has it)
        if method == "GET":
            return FOUND
        if self._fails:
            raise self._fails
        self.changes.append((method, path, body))
        return None

    def accepts(self, user: str, password: str) -> bool:  # noqa: ARG002 (as Api has it)
        return False


def test_the_list_says_where_each_user_may_upload() -> None:
    """That is what a team wants to know of its users, and devpi shows it index by index."""
    found = {str(row["name"]): row for row in users.listing(_Api())}
    assert found["anna"] == {
        "name": "anna",
        "email": "anna@example.com",
        "indexes": [],
        "upload": ["company/dev"],
    }
    assert (found["company"]["indexes"], found["root"]["upload"]) == (["company/dev"], [])


@pytest.mark.parametrize("name", ["bob smith", "a/b", "", "..", "bob:smith"])
def test_a_name_that_devpi_refuses_is_refused_first(name: str) -> None:
    """devpi's answer says neither why nor what to write instead."""
    with pytest.raises(PackhorseError, match="is no name for a user") as caught:
        users.check_name(name)
    assert "letters, digits and - . @ _" in caught.value.hint
    with pytest.raises(PackhorseError, match="is no name for a user"):
        users.add(_Api(), name, "long enough", None)


def test_a_name_that_differs_in_case_alone_is_refused() -> None:
    """`acl_upload = ["Anna"]` would let in somebody else than anna."""
    api = _Api()
    with pytest.raises(PackhorseError, match="There is a user anna already, and Anna would be another"):
        users.add(api, "Anna", "long enough", None)
    assert api.changes == []


def test_a_user_that_exists_keeps_its_password() -> None:
    """`add` with a name that is taken must not lock its owner out."""
    api = _Api()
    with pytest.raises(PackhorseError, match="There is a user anna already"):
        users.add(api, "anna", "long enough", None)
    with pytest.raises(PackhorseError, match="fewer than 8 characters"):
        users.add(api, "bert", "short", None)
    assert api.changes == []
    assert "created user bert" in users.add(api, "bert", "long enough", "b@example.com")
    assert api.changes == [("PUT", "/bert", {"password": "long enough", "email": "b@example.com"})]


def test_a_password_that_the_mirror_keeps_is_changed_in_both_places_or_in_none(tmp_path: Path) -> None:
    """`release` and `mirror init` log in with what credentials.json says."""
    folder = Folder(tmp_path)
    folder.root.mkdir(parents=True, exist_ok=True)
    state.write_credentials(folder, Credentials("http://127.0.0.1:1", {"company": "old"}))
    with pytest.raises(RefusedError):
        users.change_password(_Api(fails=RefusedError("No.", "Stop.", 403)), folder, "company", "long enough")
    assert _kept(folder) == {"company": "old"}
    users.change_password(_Api(), folder, "company", "long enough")
    users.change_password(_Api(), folder, "anna", "nobody keeps it")
    assert _kept(folder) == {"company": "long enough"}
    with pytest.raises(PackhorseError, match="There is no user bert"):
        users.change_password(_Api(), folder, "bert", "long enough")


def test_a_password_that_the_server_may_have_taken_is_kept(tmp_path: Path) -> None:
    """Its answer was lost: with the old one in the file, and the new one nowhere, root is locked out."""
    folder = Folder(tmp_path)
    folder.root.mkdir(parents=True, exist_ok=True)
    state.write_credentials(folder, Credentials("http://127.0.0.1:1", {"root": "old"}))
    lost = _Api(fails=PackhorseError("No answer.", "Start it."))
    with pytest.raises(PackhorseError, match="No answer"):
        users.change_password(lost, folder, "root", "long enough")
    assert _kept(folder) == {"root": "long enough"}


def _kept(folder: Folder) -> object:
    found = state.read_credentials(folder)
    return found and found.users


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("root", "root is not removed"),
        ("company", "declared in mirror.toml"),
        ("bert", "There is no user bert"),
    ],
)
def test_who_is_needed_is_not_removed(name: str, reason: str) -> None:
    """`mirror init` would make a declared user again, without what it had."""
    api = _Api()
    with pytest.raises(PackhorseError, match=reason):
        users.remove(api, MirrorConfig(), name)
    assert api.changes == []


def test_who_has_indexes_is_not_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """devpi would remove them with all uploads."""
    api = _Api()
    monkeypatch.setitem(FOUND, "bert", {"indexes": INDEXES})
    with pytest.raises(PackhorseError, match="bert has indexes: bert/dev"):
        users.remove(api, MirrorConfig(), "bert")
    users.remove(api, MirrorConfig(), "anna")
    assert api.changes == [("DELETE", "/anna", None)]
