"""Tokens of devpi-tokens: the user name that all tools send, and limits that its caveats do not reach.

A caveat is checked against the address of a request alone. So a push to another index, whose project and
target stand in the body, and a file, whose address names no project, are compared with a token's limits here.
"""

import base64
import binascii
import functools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from devpi_server import views
from devpi_server.normalized import normalize_name
from devpi_tokens import server
from pymacaroons import Macaroon
from pyramid.httpexceptions import HTTPForbidden

from mirror.plugin import responses
from mirror.plugin.access import readers, root_tokens

_OF_INDEXES = {"allowed", "expires", "indexes"}  # limits that hold for a whole index
_RUN = "run"  # caveat of such a token, see mirror/plugin/publishing/upload_tokens.py
ANY_USER = "__token__"  # what twine and uv send as the user of a token, as PyPI's documentation asks for


def credentials(found: tuple[str, str] | None) -> tuple[str, str] | None:
    """`found`, with the empty name under which devpi-tokens takes a token of any user."""
    return ("", found[1]) if found is not None and found[0] == ANY_USER else found


def identity(request: Any, load: Callable[[Any], Any]) -> Any:
    """Identity of a request, as `load` finds it; None where its token is no matter.

    Raises HTTPForbidden for a token that is expired, revoked, altered, or not meant for this request.
    """
    try:
        found = load(request)
    except HTTPForbidden as error:
        if _reads_packages(request):
            return None
        raise refused(_reason(error)) from error
    if isinstance(found, server.TokenIdentity):
        if _reads_packages(request):
            return None
        try:
            _ = found.restrictions
        except (
            KeyError,
            ValueError,
        ) as error:  # caveats of another form, which devpi-tokens takes but cannot list
            raise refused("This token has limits that this server does not know.") from error
        _check(request, found)
    return found


def stated(request: Any) -> tuple[str, str] | None:
    """User and id that the client's token states, be it right or not; None without a token."""
    sent = [request.authorization and request.authorization.params, request.headers.get("X-Devpi-Auth")]
    texts = [text for each in sent if isinstance(each, str) for text in (each, *_decoded(each))]
    return next((found for text in texts if (found := _user_and_id(text))), None)


def used(request: Any) -> tuple[str, str] | None:
    """User and id of the token by which the client is who it is; None for one that has logged in."""
    return _user_and_id(request.identity.token) if is_token(request) else None


def _decoded(text: str) -> list[str]:
    """Password and user of a login."""
    try:
        user, _, password = base64.b64decode(text).decode().partition(":")
    except (binascii.Error, ValueError):
        return []
    return [password, user]


def _user_and_id(text: str) -> tuple[str, str] | None:
    try:
        user, _, identifier = _macaroon(text).identifier_bytes.decode().rpartition("-")
    except Exception:  # noqa: BLE001 (pymacaroons raises what its parts raise)
        return None
    return (user, identifier) if user and identifier else None


def _macaroon(text: str) -> Any:
    return Macaroon.deserialize(text.removeprefix("devpi-"))


def described(text: str) -> dict[str, str]:
    """Id and limits of a token that was made here, for the audit log; nothing that it could be made of."""
    limits = dict(caveat.caveat_id_bytes.decode().partition("=")[::2] for caveat in _macaroon(text).caveats)
    expires = limits.get("expires", "")
    if expires.isdecimal():
        expires = datetime.fromtimestamp(int(expires), UTC).isoformat()
    names = {"index": "indexes", "project": "projects", "may": "allowed"}
    _, identifier = _user_and_id(text) or ("", "")
    found = {key: limits.get(name, "") for key, name in names.items()}
    return {key: value for key, value in {"id": identifier, **found, "expires": expires}.items() if value}


def refused(reason: str) -> HTTPForbidden:
    """An answer whose status line, which is all that twine and uv show, says why."""
    line = responses.status_line(403, reason)
    error = HTTPForbidden(line.removeprefix("403 "))
    error.status = line
    return error


def _reason(error: HTTPForbidden) -> str:
    """Reason of devpi-tokens for refusing a token, without names of users to learn.

    It has verified one whose limits forbid the request, or whose signature is wrong: the cause tells which.
    Without a cause it knows no such token of that user.
    """
    if error.__cause__ is None:
        return "This token was revoked, or is of another user or server."
    limit = str(error.__cause__) if isinstance(error.__cause__, server.InvalidMacaroon) else ""
    return limit or "This token is not valid here."


def _reads_packages(request: Any) -> bool:
    """Whether everybody may read what is asked for: a token, which may be for uploads alone, is no matter."""
    if not _reads_index(request):
        return False
    stage = request.context._stage  # noqa: SLF001 (listed in compat.py)
    return stage is None or not readers.is_protected(stage)


def _reads_index(request: Any) -> bool:
    reads = request.method in {"GET", "HEAD"} and not request.path.endswith("/+api")
    return reads and "index" in (request.matchdict or {})


def _check(request: Any, found: Any) -> None:
    projects, indexes = _limit(found, "projects"), _limit(found, "indexes")
    if _RUN in found.restrictions.names and not _is_of_job(request, found):
        # Whoever has a token can add limits to it: this one would be a false name in the audit log.
        raise refused("This token names a run, and is none of a CI job.")
    if projects is not None and _reads_index(request):
        # devpi-tokens lets pass what names no project: a list of all of them, say.
        raise refused("This token is for projects; it reads nothing of a protected index.")
    if request.matchdict and "relpath" in request.matchdict and projects is not None:
        raise refused("This token is for projects; it cannot change files by their addresses.")
    if "force" in request.params:
        raise refused("A token cannot change by force what an index keeps for ever.")
    if not is_push(request):
        return
    pushed = views.getjson(request)
    if "targetindex" not in pushed:
        raise refused("A token cannot push to another server.")
    if indexes is not None and pushed["targetindex"] not in indexes:
        raise refused("This token is not for the index that you push to.")
    if projects is not None and normalize_name(str(pushed.get("name"))) not in projects:
        raise refused("This token is not for the project that you push.")


def _is_of_job(request: Any, found: Any) -> bool:
    """Whether a verified token was made by trusted publishing."""
    name, identifier = _user_and_id(found.token) or ("", "")
    user = request.registry["xom"].model.get_user(name)
    record = user.get(credentials=True) if user is not None else {}
    return root_tokens.is_of(record, identifier, root_tokens.PUBLISHING)


def is_push(request: Any) -> bool:
    """Whether devpi will take a request for a push and not for an upload; it asks the form the same way."""
    route = getattr(request.matched_route, "name", "")
    may_be = request.method in {"POST", "PUSH"} and route in {"/{user}/{index}", "/{user}/{index}/"}
    return may_be and request.POST.get(":action") in {None, ""}


def reads_base(request: Any, indexes: Sequence[str]) -> bool:
    """Whether a request only reads an index that one of `indexes` inherits from."""
    asked = request.context._stage if request.method in {"GET", "HEAD"} else None  # noqa: SLF001 (as above)
    if asked is None:
        return False
    model = request.registry["xom"].model
    stages = [model.getstage(index.strip()) for index in indexes if index.count("/") == 1]
    return any(stage is not None and asked.name in {base.name for base in stage.sro()} for stage in stages)


def reads_all(identity: Any) -> bool:
    """Whether an identity that may read an index may read all of it: a token for projects, say, may not."""
    return not isinstance(identity, server.TokenIdentity) or {*identity.restrictions.names} <= _OF_INDEXES


def expires(identity: Any) -> int | None:
    """Expiry of an identity's token (seconds since 1970); None: never, or there is no token."""
    if not isinstance(identity, server.TokenIdentity):
        return None
    stated = [restriction.value for restriction in identity.restrictions.get("expires", ())]
    return min((int(value) for value in stated if str(value).isdecimal()), default=None)


def is_token(request: Any) -> bool:
    """Whether the client has shown a token instead of a password."""
    return isinstance(request.identity, server.TokenIdentity)


def run(request: Any) -> str | None:
    """The run of a job that has the token of this request (mirror/plugin/publishing); None for all others."""
    found = request.identity.restrictions.get(_RUN) if is_token(request) else None
    return str(found[0].value) if found else None


def _limit(found: Any, name: str) -> frozenset[str] | None:
    """The values that all caveats of this name allow; None without one."""
    values = [frozenset(restriction.value) for restriction in found.restrictions.get(name, ())]
    if not values:
        return None
    common = functools.reduce(frozenset.intersection, values)
    return frozenset(map(normalize_name, common)) if name == "projects" else common
