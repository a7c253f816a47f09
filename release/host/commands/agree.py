"""Agree with the other hosts of the target on the release to make: this host's offer, and its assignment."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from packhorse.errors import PackhorseError
from release.host.commands import history
from release.host.control import agreement
from release.host.control.session import Session
from release.host.disk import journal, releases
from release.host.disk.layout import Layout
from release.host.disk.manifest import Content, ReleaseSpec
from release.host.processes import readiness
from release.host.request import Change, Deploy, Rollback


def agree(layout: Layout, change: Deploy | Rollback, session: Session) -> tuple[ReleaseSpec, bool]:
    """The release that all hosts make, and whether this one runs it already, and has nothing to do.

    The values of the configuration pass through the controller to hosts without them, on the way that those
    of a deploy take. Raises PackhorseError when no host has what to go back to.
    """
    refusal, content, candidate = None, None, None
    try:
        content, candidate = _candidate(layout, change)
    except PackhorseError as error:  # another host may have it
        refusal = error
    offer = _offer(layout, change, candidate)
    order = session.gate("agreement", offer=asdict(offer))
    assigned = _assigned(order, offer)
    if assigned and assigned.content and isinstance(change, Rollback):
        content = _of_other_host(assigned.content)
    if assigned is None or content is None:
        raise refusal or RuntimeError("the controller sent no content")
    if assigned.send:
        session.emit({"event": "content", "content": asdict(content)})
    number, origin = assigned.number, assigned.origin
    spec = ReleaseSpec(number, content, origin, change.index_url, change.by, change.signers)
    return spec, assigned.unchanged


def _candidate(layout: Layout, change: Deploy | Rollback) -> tuple[Content, agreement.Candidate]:
    """What this host would deploy. Raises PackhorseError."""
    if isinstance(change, Deploy):
        return change.content, agreement.Candidate(change.content.digest(change.key))
    number = history.to_go_back_to(layout, change.release)
    content, origin = releases.content(layout, number), releases.read_manifest(layout, number).origin
    return content, agreement.Candidate(content.digest(change.key), number, origin)


def _of_other_host(table: Mapping[str, Any]) -> Content:
    """The content that another host of the target has sent; its code comes from the index in any case."""
    content = Content.of_json(table)
    return replace(content, files=[replace(file, url=None) for file in content.files])


def _offer(layout: Layout, change: Change, candidate: agreement.Candidate | None) -> agreement.Offer:
    number = journal.next_number(journal.read(layout.journal), releases.numbers(layout))
    current = releases.active(layout)
    if current is None or not readiness.is_healthy(layout, current):
        return agreement.Offer(number, candidate)
    return agreement.Offer(number, candidate, current, releases.content(layout, current).digest(change.key))


def _assigned(order: Mapping[str, Any], offer: agreement.Offer) -> agreement.Assignment | None:
    """The controller's decision; without a controller it is made for this host alone."""
    if order:
        return agreement.Assignment(**order["assignment"]) if "assignment" in order else None
    decision = agreement.decide({"": offer})
    return decision.assignment("") if decision else None
