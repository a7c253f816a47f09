"""The commands that change which release runs: deploy and rollback."""

import contextlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from packhorse import console
from packhorse.errors import PackhorseError
from release.cli import options, target_command

if TYPE_CHECKING:
    from release.cli.target_command import TargetCommand
    from release.deploy.connection import AgentProcess, Event
    from release.deploy.controller import Outcome
    from release.host.request import Change


@click.command()
@target_command.argument
@click.argument("version", required=False, metavar="[NAME==VERSION]")
@options.how
@options.index
@options.as_json
@click.pass_obj
def deploy(
    project: Path,
    target: str,
    version: str | None,
    index: str | None,
    *,
    plan: bool,
    wait: float,
    retry_release: bool,
    as_json: bool,
) -> None:
    """Bring a version to TARGET and let it serve, without a failed request on the way.

    The newest version of the project on a company index is deployed when none is named; never one that only
    an upstream has. On several hosts the first one goes first, then a batch at a time. When one does not
    become healthy, all go back to what they ran before.
    """
    command = target_command.begin(project, target, index)
    with command.agents() as agents:
        from release import index as indexes
        from release.config import release_toml
        from release.deploy import identity, requests
        from release.host.request import Deploy

        where = release_toml.index_url(command.settings, command.home)
        requirement = requests.parse(version or command.project)
        listed = indexes.company_files(
            where, requirement.project, indexes.get, private=command.settings.index_is_private
        )
        artifact = requests.artifact(listed, requirement, where)
        planned = (
            asdict(identity.read(artifact, indexes.get, command.settings.required_signers)) if plan else None
        )
        change = requests.change(
            Deploy,
            *(command.settings.app, command.target, command.home),
            content=requests.content(command.settings, command.target, artifact),
            bind=command.target.address,
            index_url=release_toml.simple_url(where),
            plan=plan,
            lock_wait=wait,
            retry_release=retry_release,
            signers=command.settings.required_signers,
        )
        outcome = _carry_out(command, agents, change)
    _print(command, outcome, plan=plan, as_json=as_json, planned=planned)


@click.command()
@target_command.argument
@click.argument("release", required=False, type=int, metavar="[N]")
@options.how
@options.index
@options.as_json
@click.pass_obj
def rollback(
    project: Path,
    target: str,
    release: int | None,
    index: str | None,
    *,
    plan: bool,
    wait: float,
    retry_release: bool,
    as_json: bool,
) -> None:
    """Make a new release on TARGET with the code and the configuration of release N.

    By default that is the last good one before the current. Hosts that have it need no index. A host that was
    down, or was installed anew, gets the configuration from another one, and the code from the index.
    """
    command = target_command.begin(project, target, index)
    with command.agents() as agents:
        from release.config import release_toml
        from release.deploy import requests
        from release.host.request import Rollback

        where = None
        with contextlib.suppress(PackhorseError):  # without any, the hosts have what they need, or say so
            where = release_toml.index_url(command.settings, command.home)
        change = requests.change(
            Rollback,
            *(command.settings.app, command.target, command.home),
            release=release,
            index_url=where and release_toml.simple_url(where),
            plan=plan,
            lock_wait=wait,
            retry_release=retry_release,
            signers=command.settings.required_signers,
        )
        outcome = _carry_out(command, agents, change, where)
    _print(command, outcome, plan=plan, as_json=as_json)


def _carry_out(
    command: "TargetCommand", agents: "dict[str, AgentProcess]", change: "Change", where: str | None = None
) -> "Outcome":
    """Let all hosts make `change`; code that one sends to others has to be on the company index `where`."""
    from release.deploy import controller, progress, requests

    by_host = requests.with_release_phase(change, agents)
    with progress.shown(list(agents)) as show:

        def check(host: str, event: "Event") -> None:
            if event["event"] == "content" and where:
                _check_content(command, host, event["content"], where)
            show(host, event)

        return controller.run(agents, by_host, check, command.target.batch_size)


def _check_content(command: "TargetCommand", host: str, content: "Event", where: str) -> None:
    from release import index as indexes
    from release.deploy import identity

    private = command.settings.index_is_private
    identity.require_company_content(
        content, host, lambda project: indexes.company_files(where, project, indexes.get, private=private)
    )


def _print(
    command: "TargetCommand",
    outcome: "Outcome",
    *,
    plan: bool,
    as_json: bool,
    planned: "dict[str, Any] | None" = None,
) -> None:
    """Print the outcome; `planned` is the identity of what a deploy would install."""
    from release.deploy import identity
    from release.deploy import outcome as outcomes

    if as_json:
        command.emit_json(outcome, **({"artifact": planned} if planned else {}))
    elif plan:
        for artifact in [planned] if planned else outcomes.artifacts(outcome):
            console.echo(f"Artifact: {identity.sentence(artifact)}.")
        for text in outcomes.plans(outcome, command.target.batch_size):
            console.echo(text)
    elif command.target.hosts:
        target_command.table(
            ("host", "outcome", ""),
            [(host.name, outcomes.state(host), outcomes.sentence(host)) for host in outcome.hosts],
        )
    command.finish(outcome)
    if not as_json and not plan:
        console.echo(outcomes.summary(outcome, command.name, command.seconds))


COMMANDS = (deploy, rollback)
