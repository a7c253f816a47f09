"""Upload tokens of CI jobs: made of one token of the index's owner, with limits of minutes.

What a job gets is the owner's root token for publishing (access/root_tokens.py) with an expiry, its
publishers and its run.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from devpi_server.normalized import normalize_name
from devpi_tokens import restrictions, server

from mirror.plugin.access import root_tokens
from mirror.plugin.publishing.trusted_publishers import PUBLISHERS, TrustedPublisher

LIFE = 900  # seconds; as long as those of the public index, which twine counts on
_ROUTES = {"/{user}/{index}", "/{user}/{index}/"}  # devpi's, of uploads


@dataclass(frozen=True)
class UploadToken:
    """Token for a job; `id` is the one that `mirror token list` shows."""

    token: str
    id: str
    user: str
    expires: int  # seconds since 1970


class PublishersCaveat(restrictions.StringListRestriction):
    """Caveat: an upload that one of these declared publishers may make, and nothing else."""

    name = "publishers"


class RunCaveat(restrictions.Restriction):
    """Caveat that limits nothing: a job's run, for the audit log. access/tokens.py refuses it on others."""

    name = "run"

    def __init__(self, value: str) -> None:
        self.value = value


def apply() -> None:
    """Let devpi-tokens know our caveats; without us it takes no token that has them."""
    for kind in (PublishersCaveat, RunCaveat):
        restrictions.available_restrictions[kind.name] = kind
    server.V1Caveat.verify_publishers = _verify_publishers
    server.V1Caveat.verify_run = lambda _self, _value: True


def mint(request: Any, publishers: Sequence[TrustedPublisher], run: str) -> UploadToken:
    """A token for what `publishers`, all of one owner, may upload. Needs a write transaction."""
    owner = publishers[0].owner
    user = request.registry["xom"].model.get_user(owner)
    expires = int(time.time()) + LIFE
    limits = [
        f"expires={expires}",
        f"indexes={','.join(sorted({each.index for each in publishers}))}",
        f"publishers={','.join(sorted(each.id for each in publishers))}",
        f"run={run}",
    ]
    made = root_tokens.derive(request, user, root_tokens.PUBLISHING, limits)
    return UploadToken(made.token, made.id, owner, expires)


def _verify_publishers(caveat: Any, value: str) -> bool:
    """Whether this request is an upload that one of the publishers may make, as mirror.toml has them now."""
    request, context = caveat.request, caveat.context
    found = PUBLISHERS.read(request.registry["xom"].keyfs).named(value.split(","))
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
