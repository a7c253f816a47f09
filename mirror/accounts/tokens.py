"""Tokens of users (devpi-tokens): each may do what it was made for, on its indexes, until it expires."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from packaging.utils import InvalidName, canonicalize_name
from pymacaroons import Macaroon

from mirror.api import Api
from mirror.indexes import Users, read
from packhorse.errors import PackhorseError

# Permissions of devpi's, by what `--may` takes.
MAY: Mapping[str, tuple[str, ...]] = {
    "upload": ("upload", "pkg_read"),  # and yank, and push to another index that the token is for
    "delete": ("del_entry", "del_project", "del_verdata"),
    "read": ("pkg_read",),  # protected indexes, and those that they inherit from
}
PREFIX = "devpi-"
NEVER = "never"


@dataclass(frozen=True)
class TokenRequest:
    """A token to make: for `user`, on `indexes` alone, until `expires` (seconds since 1970; None: for ever).

    Without `projects` it is for all of them.
    """

    user: str
    indexes: Sequence[str]
    may: Sequence[str]
    projects: Sequence[str]
    expires: int | None


def create(api: Api, request: TokenRequest) -> dict[str, object]:
    """Make a token: "token", which nobody can see again, its "id", and its limits. Raises PackhorseError."""
    users = read(api)
    _check(users, request)
    _check_readers(api.call("GET", "/+readers"), users, request)
    projects = [str(_project(name)) for name in request.projects]
    body = {
        # On a protected index, nobody does anything who may not read it.
        "allowed": list(dict.fromkeys([p for name in request.may for p in MAY[name]] + ["pkg_read"])),
        "indexes": list(request.indexes),
        "expires": NEVER if request.expires is None else request.expires,
        **({"projects": projects} if projects else {}),
    }
    token: str = api.call("POST", f"/{quote(request.user, '')}/+token-create", body)["token"]
    identifier = Macaroon.deserialize(token.removeprefix(PREFIX)).identifier_bytes.decode()
    return {
        "token": token,
        "id": identifier.rpartition("-")[2],
        "user": request.user,
        "indexes": list(request.indexes),
        "projects": projects,
        "may": list(request.may),
        "expires": request.expires,
    }


def listing(api: Api) -> list[dict[str, Any]]:
    """All tokens: "id", "user", "indexes", "projects", "may", "expires". An empty list is no limit.

    Those that are "publishing" or "reading" nobody has: those of CI jobs, and those that logins read with for
    an hour, are made of them, and end with them.
    """
    return [
        {
            "id": identifier,
            "user": user,
            **_limits(found.get("restrictions", ())),
            **{purpose: bool(found.get(purpose)) for purpose in ("publishing", "reading")},
        }
        for user in sorted(read(api))
        for identifier, found in sorted(_of(api, user).items())
    ]


def revoke(api: Api, identifier: str) -> str:
    """End a token at once; a sentence for people. Raises PackhorseError."""
    for user in sorted(read(api)):
        if identifier in _of(api, user):
            api.call("DELETE", f"/{quote(user, '')}/+tokens/{quote(identifier, '')}")
            return f"revoked token {identifier} of {user}"
    raise PackhorseError(f"There is no token {identifier}.", "`mirror token list` shows the ids of all.")


def as_rows(found: Sequence[Mapping[str, Any]], now: float) -> list[tuple[str, ...]]:
    """For people: id, user, what it may, where, for which projects, until when."""
    return [_row(each, now) for each in found]


def _row(token: Mapping[str, Any], now: float) -> tuple[str, ...]:
    if token.get("publishing"):
        return (token["id"], token["user"], "upload", "publishers of mirror.toml", "15 minutes for each job")
    if token.get("reading"):
        return (token["id"], token["user"], "read", "what the user may read", "an hour for each login")
    return (
        token["id"],
        token["user"],
        ",".join(token["may"]) or "all",
        ",".join(token["indexes"]) or "all indexes",
        ",".join(token["projects"]) or "all projects",
        _until(token["expires"], now),
    )


def _until(expires: int | None, now: float) -> str:
    if expires is None:
        return "for ever"
    day = time.strftime("%Y-%m-%d", time.gmtime(expires))
    return f"expired {day}" if expires <= now else f"until {day}"


def _of(api: Api, user: str) -> Mapping[str, Mapping[str, Any]]:
    found: Mapping[str, Mapping[str, Any]] = api.call("GET", f"/{quote(user, '')}/+tokens")["tokens"]
    return found


def _limits(restrictions: Sequence[str]) -> dict[str, Any]:
    """Parse restrictions as devpi-tokens stores them: ["allowed=upload", "expires=1780000000", …]."""
    found = dict(restriction.partition("=")[::2] for restriction in restrictions)
    lists = {name: [text for text in found.get(name, "").split(",") if text] for name in _LISTS}
    allowed = lists.pop("allowed")
    expires = found.get("expires", NEVER)
    return {
        **lists,
        "may": _may(allowed),
        "expires": int(expires) if expires.isdecimal() else None,
    }


def _may(allowed: Sequence[str]) -> list[str]:
    if list(allowed) == ["pkg_read"]:
        return ["read"]
    found = [name for name, permissions in MAY.items() if name != "read" and {*permissions} <= {*allowed}]
    return found or list(allowed)


def _project(name: str) -> str:
    try:
        return canonicalize_name(name, validate=True)
    except InvalidName as error:
        raise PackhorseError(
            f'"{name}" is no name of a project.',
            "A token is for projects by their whole names, without patterns.",
        ) from error


_LISTS = ("indexes", "projects", "allowed")


def _check_readers(readers: Mapping[str, Sequence[str]], users: Users, request: TokenRequest) -> None:
    """Raise PackhorseError when the token could not read: its user may not."""
    chain: dict[str, None] = dict.fromkeys(request.indexes)
    for index in (waiting := list(chain)):
        owner, _, name = index.partition("/")
        new = [
            base
            for base in users.get(owner, {}).get("indexes", {}).get(name, {}).get("bases", ())
            if base not in chain
        ]
        chain.update(dict.fromkeys(new))
        waiting.extend(new)
        names = readers.get(index)
        if names is not None and not {request.user, ":AUTHENTICATED:"} & {*names} and request.user != "root":
            raise PackhorseError(
                f"{request.user} may not read {index}, and neither may a token of this user.",
                f"Name another one with --user, or add {request.user} to read below "
                f'[indexes."{index}"] in mirror.toml, and run `mirror init`.',
            )


def _check(users: Users, request: TokenRequest) -> None:
    if request.user not in users:
        raise PackhorseError(f"There is no user {request.user}.", "`mirror user list` shows them.")
    for index in request.indexes:
        owner, _, name = index.partition("/")
        settings = users.get(owner, {}).get("indexes", {}).get(name)
        if settings is None or (settings["type"] != "stage" and set(request.may) != {"read"}):
            raise PackhorseError(
                f"{index} is no index of uploads.",
                "`mirror status` lists the indexes; write it as USER/NAME.",
            )
        if "upload" in request.may and not {request.user, ":AUTHENTICATED:"} & set(settings["acl_upload"]):
            uploaders = json.dumps([*settings["acl_upload"], request.user])
            raise PackhorseError(
                f"{request.user} may not upload to {index}, and neither may a token of this user.",
                f"Name another one with --user, or set acl_upload = {uploaders} below "
                f'[indexes."{index}"] in mirror.toml, and run `mirror init`.',
            )
