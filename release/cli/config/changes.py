"""Shared by the commands that change variables of a target: ask its hosts for them, let all hosts change."""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

from release.cli import target_command
from release.cli.releases import deploy

if TYPE_CHECKING:
    from release.agents.controller import Outcome
    from release.cli.target_command import TargetCommand


class How(TypedDict):
    """Values of `options.how`, `options.index` and `options.as_json`."""

    index: str | None
    plan: bool
    wait: float
    retry_release: bool
    as_json: bool


def read(
    project: Path, target: str, *, reveal: bool, names: list[str] | None = None
) -> "tuple[TargetCommand, Outcome]":
    """Ask all hosts of the target for their configuration."""
    command = target_command.begin(project, target)
    from release.host.request import Configuration

    outcome = target_command.ask(command, Configuration, key=secrets.token_hex(), reveal=reveal, names=names)
    return command, outcome


def change(
    project: Path,
    target: str,
    values: dict[str, str] | None = None,
    unset: Sequence[str] = (),
    source: str | None = None,
    **how: Unpack[How],
) -> None:
    """Let all hosts run their release with other values; with `source`, let them run what that host runs."""
    command = target_command.begin(project, target, how["index"])
    with command.agents() as agents:
        from release.agents import destinations
        from release.config import company_index
        from release.deploy import requests
        from release.host.request import Configure

        if source is not None:
            destinations.require_chosen(target, source, agents, command.left_out)
        where = deploy.known_source(command)
        wanted = requests.change(
            Configure,
            *(command.settings.app, command.target, command.home),
            target_name=command.name,
            values=values or {},
            unset=list(unset),
            index_url=where and company_index.simple_url(where.url),
            index_token=deploy.known_token(command, where),
            plan=how["plan"],
            lock_wait=how["wait"],
            retry_release=how["retry_release"],
            signers=command.settings.required_signers,
        )
        changes = {
            host: replace(each, follow=source not in {None, host})
            for host, each in requests.with_release_phase(wanted, agents, command.first).items()
        }
        outcome = deploy.carry_out(command, agents, changes, where)
    deploy.report(command, outcome, plan=how["plan"], as_json=how["as_json"])
