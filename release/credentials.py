"""Find the user and password for an index; never printed, never in an argument list."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from packhorse import files
from packhorse.errors import PackhorseError

LOGINS = "logins.json"
ANY_USER = "__token__"  # the password of this user is a token (docs/accounts.md)


@dataclass(frozen=True)
class Credentials:
    """A user and a password, which is left out of every representation."""

    username: str
    password: str = field(repr=False)

    @property
    def holder(self) -> str:
        """Name for messages: the user, or a token's id and user, which are no secret."""
        if self.username != ANY_USER:
            return self.username
        from pymacaroons import Macaroon  # where a message needs it: it takes a moment

        try:
            token = Macaroon.deserialize(self.password.removeprefix("devpi-"))
            user, _, identifier = token.identifier_bytes.decode().rpartition("-")
        except Exception:  # noqa: BLE001 (pymacaroons raises what its parts raise)
            return "this token"
        return f"token {identifier} of {user}" if user else "this token"

    def way_to_be_let_in(self, verb: str) -> str:
        """The hint for who may not upload. `verb`: what was tried, such as "Upload"."""
        if self.username == ANY_USER:
            return (
                "`mirror token list` shows what it may; its user has to be in acl_upload of the index, too."
            )
        return f"{verb} as another user (--username), or let the index's owner add this one to acl_upload."

    def scrub(self, text: str) -> str:
        """`text` without the password, should a tool have printed it."""
        return text.replace(self.password, "********")


class Keyring(Protocol):
    """The part of the keyring package that is used here."""

    def get_password(self, service_name: str, username: str) -> str | None:
        """The password stored for `username` at `service_name`."""


def find(
    index: str, *, username: str | None, environ: Mapping[str, str], keyring: Keyring, home: Path
) -> Credentials:
    """The credentials for `index`: $TWINE_PASSWORD, else the keyring, else the file of this machine's mirror.

    `username` is the option; without it and $TWINE_USERNAME it is who is logged in, or the index's owner. The
    keyring is asked as twine asks it: the service is the upload address. Raises PackhorseError.
    """
    user = default_user(index, home, username or environ.get("TWINE_USERNAME"))
    password = (
        environ.get("TWINE_PASSWORD")
        or keyring.get_password(service(index), user)
        or _of_this_machine(index, user, home)
    )
    if not password:
        raise PackhorseError(
            f"There is no password of {user} for {index}.",
            "Keep it in the keyring: release login; or, as in CI, set TWINE_PASSWORD in the environment.",
        )
    return Credentials(user, password)


def service(index: str) -> str:
    """Name of the index in the keyring: its upload address, as twine has it."""
    return f"{index}/"


def default_user(index: str, home: Path, named: str | None = None) -> str:
    """User who uploads to `index`: `named`, else as logged in, else its owner, the first part of its path.

    Raises PackhorseError when there is none.
    """
    user = named or users(home).get(index) or urlsplit(index).path.lstrip("/").partition("/")[0]
    if not user:
        raise PackhorseError(f"{index} has no owner in its address.", "Say who uploads: --username NAME")
    return user


def users(home: Path) -> dict[str, str]:
    """Index -> user of all who are logged in here; their passwords are in the keyring."""
    try:
        return {str(index): str(user) for index, user in json.loads((home / LOGINS).read_bytes()).items()}
    except (FileNotFoundError, ValueError, AttributeError):
        return {}


def write_users(home: Path, known: Mapping[str, str]) -> None:
    """Write what `users` reads."""
    home.mkdir(parents=True, exist_ok=True)
    files.write_whole(home / LOGINS, json.dumps(known, indent=2).encode(), mode=0o600)


def _of_this_machine(index: str, username: str, home: Path) -> str | None:
    """The password that `mirror init` made, when `index` is on the mirror of this machine."""
    path = home / "mirror" / "credentials.json"
    try:
        stored = json.loads(path.read_bytes())
        known: dict[str, str] = stored["users"] if index.startswith(f"{stored['url']}/") else {}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PackhorseError(f"{path} cannot be used: {error}", "Make it again: mirror init") from error
    return known.get(username)


class SystemKeyring:
    """The keyring of this machine; a machine without one has no passwords in it."""

    def get_password(self, service_name: str, username: str) -> str | None:
        """The password stored for `username` at `service_name`."""
        import keyring
        from keyring.errors import KeyringError

        try:
            return keyring.get_password(service_name, username)
        except KeyringError:  # no keyring, or a locked one without anybody to unlock it: twine goes on, too
            return None


def of_user(index: str, home: Path, username: str | None) -> Credentials:
    """The credentials for uploads to `index`, from the places that this process has."""
    return find(index, username=username, environ=os.environ, keyring=SystemKeyring(), home=home)


def of_any(indexes: Sequence[str], home: Path, username: str | None) -> Credentials:
    """The credentials for the first of `indexes` that has any: a user of devpi has one password for all.

    Raises PackhorseError, for the first one.
    """
    errors: list[PackhorseError] = []
    for url in indexes:
        try:
            return find(url, username=username, environ=os.environ, keyring=SystemKeyring(), home=home)
        except PackhorseError as error:
            errors.append(error)
    raise errors[0]
