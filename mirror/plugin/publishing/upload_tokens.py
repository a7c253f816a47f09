"""Upload tokens of CI jobs: made of one token of the index's owner (devpi-tokens), with limits of minutes.

Such a token is a macaroon: who has one can narrow it without asking anybody. So each owner has one token for
publishing, which never leaves the database, and what a job gets is that with an expiry, its publishers and
its run. Nothing is written for a job, and `mirror token revoke` of that token ends those of all jobs at once.
"""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from devpi_server.normalized import normalize_name
from devpi_tokens import restrictions, server
from pymacaroons import MACAROON_V2, Macaroon

from mirror.plugin.access import tokens
from mirror.plugin.publishing import declared
from mirror.plugin.publishing.declared import Publisher

LIFE = 900  # seconds; as long as those of the public index, which twine counts on
# On a protected index, nobody does anything who may not read it; the caveat of publishers forbids to read.
_ALLOWED = "allowed=upload,pkg_read"
_ROUTES = {"/{user}/{index}", "/{user}/{index}/"}  # devpi's, of uploads


@dataclass(frozen=True)
class UploadToken:
    """What a job gets; `id` is the one that `mirror token list` shows."""

    token: str
    id: str
    user: str
    expires: int  # seconds since 1970


class Publishers(restrictions.StringListRestriction):
    """Caveat: an upload that one of these declared publishers may make, and nothing else."""

    name = "publishers"


class Run(restrictions.Restriction):
    """Caveat that limits nothing: a job's run, for the audit log. access/tokens.py refuses it on others."""

    name = "run"

    def __init__(self, value: str) -> None:
        self.value = value


def apply() -> None:
    """Let devpi-tokens know our caveats; without us it takes no token that has them."""
    for kind in (Publishers, Run):
        restrictions.available_restrictions[kind.name] = kind
    server.V1Caveat.verify_publishers = _verify_publishers
    server.V1Caveat.verify_run = lambda _self, _value: True


def mint(request: Any, publishers: Sequence[Publisher], run: str) -> UploadToken:
    """A token for what `publishers`, all of one owner, may upload. Needs a write transaction."""
    owner = publishers[0].owner
    identifier, kept = _root(request, owner)
    utility = request.devpi_token_utility
    macaroon = Macaroon(
        identifier=f"{owner}-{identifier}", key=utility.derive_key(kept["key"]), version=MACAROON_V2
    )
    expires = int(time.time()) + LIFE
    limits = [
        *kept["restrictions"],
        f"expires={expires}",
        f"indexes={','.join(sorted({each.index for each in publishers}))}",
        f"publishers={','.join(sorted(each.id for each in publishers))}",
        f"run={run}",
    ]
    for limit in limits:
        macaroon.add_first_party_caveat(limit)
    return UploadToken(f"devpi-{macaroon.serialize()}", identifier, owner, expires)


def _root(request: Any, owner: str) -> tuple[str, Any]:
    """Id and record of the owner's token for publishing, which is made when there is none."""
    user = request.registry["xom"].model.get_user(owner)
    found = _roots(user.get(credentials=True))
    if found:
        return found[0]
    kept = {
        "key": secrets.token_urlsafe(32),
        "restrictions": [_ALLOWED],
        tokens.PUBLISHING: True,
    }  # as devpi-tokens has it
    with user.key.update() as record:
        made = record.setdefault("tokens", {})
        identifier = server.generate_token_id()
        while identifier in made:
            identifier = server.generate_token_id()
        made[identifier] = kept
    return identifier, kept


def _roots(record: Any) -> list[tuple[str, Any]]:
    return [(name, kept) for name, kept in record.get("tokens", {}).items() if kept.get(tokens.PUBLISHING)]


def forget(xom: Any, owner: str) -> None:
    """Remove the owner's token for publishing, if there is one. Needs a write transaction."""
    user = xom.model.get_user(owner)
    if user is not None and _roots(user.get(credentials=True)):
        with user.key.update() as record:
            for name, _ in _roots(record):
                del record["tokens"][name]


def _verify_publishers(caveat: Any, value: str) -> bool:
    """Whether this request is an upload that one of the publishers may make, as mirror.toml has them now."""
    request, context = caveat.request, caveat.context
    found = declared.read(request.registry["xom"].keyfs).named(value.split(","))
    if not found:
        raise server.InvalidMacaroon("Token of a publisher that is not in mirror.toml any more")
    index = f"{getattr(context, 'username', None)}/{getattr(context, 'index', None)}"
    of_index = [publisher for publisher in found if publisher.index == index]
    if not of_index:
        raise server.InvalidMacaroon(f"Token denied access to index '{index}'")
    if _asks_for_admission(request):
        return True
    if not _is_upload(request):
        raise server.InvalidMacaroon("Token of a publisher can upload files, and do nothing else")
    project = normalize_name(str(request.POST.get("name")))
    if not any(publisher.takes(project) for publisher in of_index):
        raise server.InvalidMacaroon(f"Token denied access to project '{project}'")
    return True


def _asks_for_admission(request: Any) -> bool:
    """Whether this is the question of connections/admission.py, before the body of an upload is read."""
    asks = request.method == "OPTIONS" and request.headers.get("X-Packhorse-Admission") == "POST"
    return asks and request.matchdict.get("rest") in {"", "/"}


def _is_upload(request: Any) -> bool:
    route = getattr(request.matched_route, "name", "")
    is_form = request.method == "POST" and route in _ROUTES
    return is_form and request.POST.get(":action") == "file_upload"
