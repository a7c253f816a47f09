"""Users of the mirror: add, list, give another password, remove."""

from dataclasses import replace
from typing import Any
from urllib.parse import quote

from mirror import state
from mirror.api import Api, RefusedError
from mirror.config import MirrorConfig, is_user_name
from mirror.indexes import Users, read
from mirror.state import Folder
from packhorse.errors import PackhorseError

SHORTEST = 8
"""Characters of a password."""


def listing(api: Api) -> list[dict[str, Any]]:
    """All users, sorted: "name", "email", "indexes" that are theirs, and where they may "upload"."""
    users = read(api)
    return [
        {
            "name": name,
            "email": data.get("email"),
            "indexes": sorted(f"{name}/{index}" for index in data.get("indexes", {})),
            "upload": sorted(
                f"{owner}/{index}"
                for owner, found in users.items()
                for index, settings in found.get("indexes", {}).items()
                if {name, ":AUTHENTICATED:"} & set(settings.get("acl_upload", ()))
            ),
        }
        for name, data in sorted(users.items())
    ]


def check_name(name: str) -> None:
    """Raise PackhorseError when no user can have this name."""
    if not is_user_name(name):
        raise PackhorseError(f'"{name}" is no name for a user.', "Use letters, digits and - . @ _ alone.")


def add(api: Api, name: str, password: str, email: str | None) -> str:
    """Create user `name`; a sentence for people. Raises PackhorseError, also when there is one."""
    check_name(name)
    users = read(api)
    if name in users:
        raise PackhorseError(
            f"There is a user {name} already.", f"`mirror user password {name}` gives it another password."
        )
    if same := [user for user in users if user.casefold() == name.casefold()]:
        raise PackhorseError(
            f"There is a user {same[0]} already, and {name} would be another one.",
            "Take a name that differs in more than upper and lower case, so that nobody mixes them up.",
        )
    _check_password(password)
    api.call("PUT", f"/{quote(name, '')}", {"password": password, **({"email": email} if email else {})})
    return f"created user {name}; to let it upload, add it to acl_upload of an index in mirror.toml"


def change_password(api: Api, folder: Folder, name: str, password: str) -> str:
    """Give user `name` another password; a sentence for people. Raises PackhorseError.

    A password that `mirror init` made is also kept in credentials.json, and is changed there first: one that
    only the server has could not be found again after a kill.
    """
    _existing(read(api), name)
    _check_password(password)
    before = state.read_credentials(folder)
    kept = before if before is not None and name in before.users else None
    if kept is not None:
        state.write_credentials(folder, replace(kept, users={**kept.users, name: password}))
    try:
        api.call("PATCH", f"/{quote(name, '')}", {"password": password})
    except RefusedError:  # without an answer, the server may have it
        if kept is not None:
            state.write_credentials(folder, kept)
        raise
    return f"changed the password of {name}; its tokens stay valid, see `mirror token list`"


def change_own_password(api: Api, name: str, password: str) -> str:
    """Give user `name` another password, by an `api` that logs in as that user; a sentence for people.

    Raises PackhorseError.
    """
    _check_password(password)
    try:
        api.call("PATCH", f"/{quote(name, '')}", {"password": password})
    except RefusedError as error:
        if error.status not in {401, 403}:
            raise
        raise PackhorseError(
            f"The mirror does not take this as the present password of {name}.",
            "Try again; if it is lost, who runs the mirror gives you another one: `mirror user password`.",
        ) from error
    return f"changed the password of {name}; its tokens stay valid"


def remove(api: Api, config: MirrorConfig, name: str) -> str:
    """Remove a user without indexes; a sentence for people. Its tokens end with it. Raises PackhorseError."""
    users = read(api)
    data = _existing(users, name)
    if name == "root":
        raise PackhorseError("root is not removed.", "It is what the `mirror` command logs in as.")
    if name in config.users:
        raise PackhorseError(
            f"{name} is declared in mirror.toml, and `mirror init` would make it again.",
            f"Remove [users.{name}] there, then run the command again.",
        )
    if indexes := sorted(f"{name}/{index}" for index in data.get("indexes", {})):
        raise PackhorseError(
            f"{name} has indexes: {', '.join(indexes)}.",
            f"Delete them first, with all that is on them: `mirror index remove {indexes[0]}`.",
        )
    api.call("DELETE", f"/{quote(name, '')}")
    return f"removed user {name}"


def _existing(users: Users, name: str) -> Users:
    if name not in users:
        raise PackhorseError(f"There is no user {name}.", "`mirror user list` shows them.")
    return users[name]


def _check_password(password: str) -> None:
    if len(password) < SHORTEST:
        raise PackhorseError(
            f"The password has fewer than {SHORTEST} characters.",
            "Take a longer one, or let one be made: --generate.",
        )
