"""Read protection of indexes, by the users that mirror.toml names for them and for their bases.

An index shows what its bases have, and an address of a file names the base. So a user needs to be named for
each index of the chain that names readers at all; root may read everything, and replicas may.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from devpi_server.replica import REPLICA_USER_NAME
from pyramid.authorization import Everyone
from pyramid.events import ContextFound
from pyramid.httpexceptions import HTTPForbidden, HTTPUnauthorized
from pyramid.security import forget

from mirror.plugin.declared_settings import DeclaredSettings

AUTHENTICATED = ":AUTHENTICATED:"  # as devpi has it: everybody who logs in
_ALWAYS = {"root", REPLICA_USER_NAME}

Readers = Mapping[str, Sequence[str]]  # index -> names; an index that is missing is for everybody


def _parse(settings: Readers) -> Readers:
    return settings


# Databases and exports have this field: it is older than DeclaredSettings.
READERS = DeclaredSettings("readers", _parse, field="readers")


def is_protected(stage: Any) -> bool:
    """Whether `stage`, or an index that it inherits from, is not for everybody. Needs a transaction."""
    return next(_of_chain(stage), None) is not None


def may_read(stage: Any, identity: Any) -> bool:
    """Whether `identity` (None: nobody has logged in) may read `stage`. Needs a transaction."""
    return reads_each(_of_chain(stage), identity)


def reads_each(protected: Iterable[Sequence[str]], identity: Any) -> bool:
    """Whether `identity` is among the readers of each index, which are names."""
    if identity is not None and identity.username in _ALWAYS:
        return True
    names = _names(identity)
    return all(not names.isdisjoint(readers) for readers in protected)


def _of_chain(stage: Any) -> Iterator[Sequence[str]]:
    protected = READERS.read(stage.keyfs)
    if protected:
        yield from (protected[base.name] for base in stage.sro() if base.name in protected)


def _names(identity: Any) -> set[str]:
    if identity is None:
        return set()
    return {identity.username, AUTHENTICATED, *(f":{group}" for group in identity.groups)}


def denials(request: Any, stage: Any) -> set[tuple[str, str]]:
    """Denied permissions of a request, as (principal, permission) for the hook devpiserver_auth_denials."""
    if stage is None or not is_protected(stage) or may_read(stage, request.identity):
        return set()
    return {(Everyone, "pkg_read")}


def install(pyramid_config: Any) -> None:
    """Ask before any view of an index, whoever brings it: all have its user and its name in the address."""
    pyramid_config.add_subscriber(lambda event: _guard(event.request), ContextFound)


def _guard(request: Any) -> None:
    route = getattr(request.matched_route, "name", "")
    if {"user", "index"} <= (request.matchdict or {}).keys() and not route.endswith("/+api"):
        require(request)


def require(request: Any) -> None:
    """Raise HTTPUnauthorized or HTTPForbidden unless the client may read the index of its request.

    `+api` is open: the devpi client learns there where to log in. Whether there is such an index, or which
    projects it has, is not looked at before.
    """
    stage = request.context._stage  # noqa: SLF001 (listed in compat.py)
    if stage is None or not is_protected(stage):
        return
    request.add_response_callback(keep_private)
    if request.has_permission("pkg_read"):
        return
    if request.identity is None:
        raise HTTPUnauthorized(f"Log in to read {stage.name}.", headers=forget(request))
    raise HTTPForbidden(f"{request.identity.username} may not read {stage.name}.")


def keep_private(_request: Any, answer: Any) -> None:
    """Callback for an answer: let no proxy on the way keep it for others (RFC 9111, 5.2.2.7)."""
    kept = [part.strip() for part in answer.headers.get("Cache-Control", "").split(",")]
    answer.headers["Cache-Control"] = ", ".join(
        ["private", *(part for part in kept if part not in {"", "public"})]
    )
