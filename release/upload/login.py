"""Log in to the company index: check a password with it, keep it in the keyring, take it out again."""

import http.client
import json
from pathlib import Path
from typing import Protocol

from packhorse.errors import PackhorseError
from release import credentials, index
from release.credentials import Credentials
from release.host.formats import origin


class Keyring(Protocol):
    """The part of the keyring package that is used here; its errors are KeyringErrors."""

    def get_password(self, service_name: str, username: str) -> str | None:
        """The password stored for `username` at `service_name`."""

    def set_password(self, service_name: str, username: str, password: str) -> None:
        """Store it."""

    def delete_password(self, service_name: str, username: str) -> None:
        """Remove it."""


def log_in(url: str, login: Credentials, *, keyring: Keyring, home: Path, ask: index.Ask) -> None:
    """Keep `login` for the index `url` if the index accepts it. Raises PackhorseError, and keeps nothing."""
    _check(url, login, ask)
    from keyring.errors import KeyringError

    service = credentials.service(url)
    try:
        keyring.set_password(service, login.username, login.password)
        kept = keyring.get_password(service, login.username)
    except KeyringError as error:
        raise _unusable(error) from error
    if kept != login.password:  # the backend "null" takes everything and keeps nothing
        raise _unusable("it did not keep the password")
    credentials.write_users(home, {**credentials.users(home), url: login.username})


def log_out(url: str, username: str | None, *, keyring: Keyring, home: Path) -> str | None:
    """Remove what is kept for the index `url`; returns its user, None when nothing was kept."""
    from keyring.errors import KeyringError

    known = credentials.users(home)
    user, service = username or credentials.default_user(url, home), credentials.service(url)
    try:
        kept = keyring.get_password(service, user) is not None
        if kept:
            keyring.delete_password(service, user)
    except KeyringError as error:
        raise _unusable(error) from error
    if known.get(url) == user:
        credentials.write_users(home, {other: name for other, name in known.items() if other != url})
    return user if kept else None


def _check(url: str, login: Credentials, ask: index.Ask) -> None:
    """Raise PackhorseError unless the index says that `login` is right (devpi's +api: authstatus)."""
    headers = {"Authorization": origin.basic(login.username, login.password), "Accept": "application/json"}
    try:
        answer = ask(f"{url}/+api", headers)
    except (OSError, http.client.HTTPException) as error:
        raise PackhorseError(
            f"The index {url} cannot be reached: {index.reason(error)}",
            "Start it, or correct index in release.toml; nothing was kept.",
        ) from error
    if answer.status == 429:
        raise PackhorseError(
            f"{url} takes no more passwords for now: too many were wrong.", "Try again in a minute."
        )
    status = _authentication(answer)
    if answer.status in (401, 403) or status not in (None, "ok"):
        raise PackhorseError(
            f"{url} refuses the password of {login.username}; nothing was kept.",
            "Try again, for another user with --username; root of the index sets passwords (devpi user -m).",
        )
    if status is None:
        raise PackhorseError(
            f"{url} does not say whether a password is right: it answered {answer.status} at {answer.url}.",
            "Use the address of an index of devpi; for another one, set TWINE_PASSWORD instead.",
        )


def _authentication(answer: index.Response) -> str | None:
    """Read devpi's word on the login of a request; None from any other server."""
    try:
        return str(json.loads(answer.body)["result"]["authstatus"][0])
    except (ValueError, LookupError, TypeError):
        return None


def _unusable(reason: object) -> PackhorseError:
    from keyring.errors import NoKeyringError

    text = str(reason).splitlines()[0].rstrip(".") if str(reason) else type(reason).__name__
    if isinstance(reason, NoKeyringError):  # its own text is three sentences
        text = "there is none"
    return PackhorseError(
        f"The keyring of this machine cannot be used: {text}.",
        "Unlock it or install one (Debian: gnome-keyring); without any, as in CI, set TWINE_PASSWORD.",
    )
