"""Agree with the other hosts of the target on the release to make: this host's offer, and its assignment."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from packhorse.errors import PackhorseError
from release.host.commands.releases import configuration, history
from release.host.control import agreement
from release.host.control.session import Session
from release.host.disk import journal, releases, scale
from release.host.disk.layout import Layout
from release.host.disk.manifest import Content, ReleaseSpec
from release.host.formats import service_url, variables
from release.host.processes import readiness
from release.host.processes.circus_ini import Supervisor
from release.host.request import AnyChange, Change, Configure, Deploy, Rollback


def agree(
    layout: Layout, change: AnyChange, circus: Supervisor, session: Session
) -> tuple[ReleaseSpec, agreement.Assignment]:
    """The release that all hosts make, and this one's part in it.

    The values of the configuration pass through the controller to hosts without them, on the way that those
    of a deploy take. Raises PackhorseError when no host has what to go back to, or a variable is missing that
    release.toml requires.
    """
    refusal, content, candidate = None, None, None
    present = releases.content(layout, releases.current(layout))
    try:
        content, candidate = _candidate(layout, change, present)
    except PackhorseError as error:  # another host may have it
        refusal = error
    _warn(change, present, session)
    offer = _offer(layout, change, circus, candidate, present)
    order = session.gate("agreement", offer=asdict(offer))
    assigned = _assigned(order, offer)
    if assigned and assigned.content:
        if candidate and offer.rank is agreement.Rank.CODE:  # whatever another one claims to have
            raise PackhorseError(
                "The content of another host was sent to this one, which has its own.",
                "Look at the other hosts: one of them claims what it has not.",
            )
        content = _of_other_host(assigned.content, change, present)
    if assigned is None or content is None:
        raise refusal or RuntimeError("the controller sent no content")
    unattached = _unattached(change, content) if isinstance(change, Deploy) else {}
    _require(content, change, unattached)
    if unattached and change.release_phase:  # one host says it for all
        commands = ", ".join(unattached.values())
        session.warn(f"{change.target_name} uses a database whose URL the application has not: {commands}")
    variables.check_sum(content.environment)
    if assigned.send:
        session.emit({"event": "content", "content": asdict(content)})
    return _spec(change, content, assigned), assigned


def _spec(change: AnyChange, content: Content, assigned: agreement.Assignment) -> ReleaseSpec:
    """The release to make of `content`, under the number that all hosts have agreed on."""
    reasons = {Rollback: f"back to the content of release {assigned.origin}", Deploy: ""}
    return ReleaseSpec(
        number=assigned.number,
        content=content,
        origin=assigned.origin,
        index_url=change.index_url,
        index_token=change.index_token,
        by=change.by,
        signers=change.signers,
        unless_installed=not isinstance(change, Deploy),
        reason=change.reason if isinstance(change, Configure) else reasons[type(change)],
    )


def _warn(change: AnyChange, present: Content, session: Session) -> None:
    """Say which variables the user gave in vain."""
    if isinstance(change, Configure) and (unknown := sorted(set(change.unset) - present.config.keys())):
        session.warn(f"Not set by release config, so not unset: {', '.join(unknown)}.")
    if isinstance(change, Deploy):
        before, after = present.env, change.content.env
        hidden = [name for name in present.config if name in after and after[name] != before.get(name)]
        if hidden:
            session.warn(
                f"release config has set {', '.join(hidden)}, which wins over what this deploy brings."
            )


def _candidate(
    layout: Layout, change: AnyChange, present: Content
) -> tuple[Content, agreement.Candidate | None]:
    """Content that this host would deploy, instead of what it has at `present`. Raises PackhorseError."""
    if isinstance(change, Deploy):
        content = replace(change.content, config=present.config)
        return content, agreement.Candidate(content.digest(change.key))
    if isinstance(change, Configure):
        config = {name: value for name, value in present.config.items() if name not in change.unset}
        content = replace(present, config={**config, **change.values})
        variables.check(content.config)
        return content, None if change.follow else agreement.Candidate(content.digest(change.key))
    number = history.to_go_back_to(layout, change.release)
    content, origin = releases.content(layout, number), releases.read_manifest(layout, number).origin
    config = service_url.with_present_logins(layout.app, content.config, present.config)
    content = replace(content, config=config)
    return content, agreement.Candidate(content.digest(change.key), number, origin)


def _of_other_host(table: Mapping[str, Any], change: AnyChange, present: Content) -> Content:
    """The content that another host of the target has sent; its code comes from the index in any case.

    A deploy takes what `release config` has set, and nothing else. Raises PackhorseError when a release is
    to take the place of the `present` one, and the other host has none.
    """
    content = Content.of_json(table)
    variables.check(content.config)
    if isinstance(change, Deploy):
        return replace(change.content, config=content.config)
    if isinstance(change, Configure) and present.files and not content.files:
        raise PackhorseError(
            "The other host has no release to take over.", f"Deploy: release deploy {change.target_name}"
        )
    return replace(content, files=[replace(file, url=None) for file in content.files])


def _unattached(deploy: Deploy, content: Content) -> dict[str, str]:
    """Service -> the command that attaches its database, of those whose URL the application has not yet."""
    values, commands = content.environment.values(), {}
    for service in deploy.services:
        login = f"{deploy.app}_{deploy.target_name}_{service}__"  # __a or __b: it has two
        if not any(login in value for value in values):
            commands[service] = f"release services attach {service} {deploy.target_name}"
    return commands


def _require(content: Content, change: AnyChange, unattached: Mapping[str, str]) -> None:
    """Raise PackhorseError unless every variable that release.toml requires is there."""
    missing = [name for name in content.required if name not in content.environment]
    if not missing:
        return
    hint = f"Set it (it asks for the value): release config set {change.target_name} {missing[0]}"
    services = change.services if isinstance(change, Deploy) else {}
    usual = [service for service, variable in services.items() if variable == missing[0]]
    if len(usual) == 1 and usual[0] in unattached:  # of two, nobody knows which one is meant
        hint = f"Let it have the URL of the database: {unattached[usual[0]]}"
    raise PackhorseError(f"release.toml requires {', '.join(missing)}, which would not be set.", hint)


def _offer(
    layout: Layout,
    change: Change,
    circus: Supervisor,
    candidate: agreement.Candidate | None,
    present: Content,
) -> agreement.Offer:
    number = journal.next_number(journal.read(layout.journal), releases.numbers(layout))
    current = releases.active(layout)
    without_code = agreement.Rank.CONFIG_ONLY if present.config else agreement.Rank.NOTHING
    offer = agreement.Offer(
        next=number,
        candidate=candidate,
        config=configuration.value_digests(change.key, present.config),
        rank=agreement.Rank.CODE if present.files else without_code,
        scale=asdict(scale.read(layout)) if layout.scale.exists() else None,
    )
    if current is None or not readiness.is_healthy(layout, circus, current):
        return offer
    return replace(offer, current=current, running=present.digest(change.key))


def _assigned(order: Mapping[str, Any], offer: agreement.Offer) -> agreement.Assignment | None:
    """The controller's decision; without a controller it is made for this host alone."""
    if order:
        return agreement.Assignment(**order["assignment"]) if "assignment" in order else None
    decision = agreement.decide({"": offer})
    return decision.assignment("") if decision else None
