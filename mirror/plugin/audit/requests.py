"""Describe a request in the words of the audit log. Pure."""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

_USER = {"PUT": "user-create", "PATCH": "user-change", "DELETE": "user-delete"}
_INDEX = {"PUT": "index-create", "PATCH": "index-change", "DELETE": "index-delete"}
# Addresses of the whole server, by their first part.
_SERVER = {
    "+changed-files": "accept-changed",
    "+cached-files": "prune",
    "+damaged-files": "repair",
    "+login": "login",
    "+policies": "policy",
    "+publishers": "publishers",
    "+readers": "readers",
    "+reserved": "reserve",
    "+stored-files": "repair",
    "_": "login",  # trusted publishing
}
_UPLOADS = {"submit": "register", "file_upload": "upload", "doc_upload": "upload"}
_READS = {"GET", "HEAD", "OPTIONS"}
LARGEST_JSON = 1024 * 1024  # bytes of a body: what is too large to be recorded is not done either


def address(environ: Mapping[str, Any]) -> str:
    """The client's address: what a web server on this machine states, else the other end's.

    connections/channel.py has removed X-Real-IP from what others send; X-Forwarded-For counts never.
    """
    stated = environ.get("HTTP_X_REAL_IP", "")
    try:
        return str(ipaddress.ip_address(stated))
    except ValueError:
        return str(environ.get("REMOTE_ADDR", ""))


def action(method: str, path: str, form: Mapping[str, Any]) -> str | None:
    """Name of what a request does, None for one that only reads."""
    if method in _READS:
        return None
    parts = path.strip("/").split("/")
    deletes = method == "DELETE"
    if parts[0] in _SERVER:
        named = _SERVER[parts[0]]
        return "release-name" if named == "reserve" and deletes else named
    special = {
        "unyank" if deletes else "yank": parts[-1] == "+yank",
        "token-revoke" if deletes else "token-create": any(re.match(r"\+tokens?\b", part) for part in parts),
        "read-token": parts[-1] == "+read-token",
        "bundle": "+bundle" in parts,
        "refresh": _is_refresh(parts[2:]),
        "delete" if deletes else "test-result": re.search(r"/\+[ef]/", path) is not None,
    }
    return next((name for name, holds in special.items() if holds), None) or _of_index(method, parts, form)


def _is_refresh(parts: Sequence[str]) -> bool:
    """Whether these, below an index, are the address at which a project is refreshed."""
    return len(parts) == 3 and parts[0] == "+simple" and parts[2] == "refresh"


def _of_index(method: str, parts: Sequence[str], form: Mapping[str, Any]) -> str:
    """The same below a user."""
    if len(parts) == 1:
        return _USER.get(method, "change")
    if len(parts) > 2:
        return "delete" if method == "DELETE" else "change"
    if method in {"POST", "PUSH"}:
        stated = form.get(":action")
        return "push" if stated in {None, ""} else _UPLOADS.get(str(stated), "upload")  # as devpi does
    return _INDEX.get(method, "change")


def place(path: str) -> dict[str, str]:
    """The user, index, project, version and file that a path names."""
    user, index, *rest = [*path.strip("/").split("/"), "", ""][:6]
    if user in {"", "_"}:
        return {}
    rest = [part for part in rest if part]
    if index.startswith("+") and not user.startswith("+"):  # tokens of a user
        return {"user": user, **dict(zip(("id",), rest, strict=False))}
    found = {"index": f"{user}/{index}"} if index and not user.startswith("+") else {"user": user}
    if user.startswith("+"):
        return {"file": path.strip("/").partition("/")[2]} if index else {}
    if rest and rest[0] in {"+f", "+e"}:
        return {**found, "file": path.rpartition("/")[2]}
    rest = rest[:-1] if _is_refresh(rest) else rest
    named = [part for part in rest if not part.startswith("+")]
    names = ("project", "file" if "+bundle" in rest else "version")
    return {**found, **dict(zip(names, named, strict=False))}


def accepted(query: str) -> list[str]:
    """Names of the files of a bundle that may take the place of files with another content."""
    return parse_qs(query).get("accept-changed", [])


def of_form(form: Mapping[str, Any]) -> dict[str, str]:
    """Project, version and file that an upload states."""
    content = form.get("content")
    filename = getattr(content, "filename", None)
    found = {"project": form.get("name"), "version": form.get("version"), "file": filename}
    return {key: value for key, value in found.items() if isinstance(value, str) and value}


def of_push(body: Any) -> dict[str, str]:
    """Project, version and target of a push: an index, or the host of another server, not its login."""
    if not isinstance(body, Mapping):
        return {}
    host = urlsplit(str(body.get("posturl", ""))).hostname if body.get("posturl") else None
    found = {"project": body.get("name"), "version": body.get("version")}
    target = body.get("targetindex") or host
    return {key: value for key, value in {**found, "target": target}.items() if isinstance(value, str)}


def of_files(paths: Any) -> dict[str, str]:
    """Number of the files, and the names of the first."""
    names = [str(path).rpartition("/")[2] for path in paths] if isinstance(paths, list) else []
    count = f"{len(names)} file{'s' if len(names) > 1 else ''}"
    return {"detail": f"{count}: {', '.join(names)}"} if names else {}


def of_repair(body: Any) -> dict[str, str]:
    """Files that are put aside or removed, or the projects whose pages are."""
    if not isinstance(body, Mapping):
        return {}
    projects = body.get("projects")
    named = {"project": ",".join(map(str, projects))} if projects and isinstance(projects, list) else {}
    return {**named, **of_files(body.get("quarantine") or [key for key in body if "/" in str(key)])}


def of_change(body: Any) -> dict[str, str]:
    """The keys of what is changed of a user or an index; values may be secrets."""
    if isinstance(body, Mapping):
        keys = [str(key) for key in body]
    elif isinstance(body, list):
        keys = [re.split(r"[-+]?=", str(each), maxsplit=1)[0] for each in body if "=" in str(each)]
    else:
        return {}
    return {"detail": f"keys: {', '.join(sorted(keys))}"} if keys else {}
