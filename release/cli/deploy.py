"""The commands that change which release runs: deploy and rollback."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from release.cli import options, selection

if TYPE_CHECKING:
    from release.cli.selection import Selection
    from release.deploy.connection import AgentProcess
    from release.deploy.controller import Outcome
    from release.deploy.requests import Options


@click.command()
@selection.argument
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

    The newest version of the project is deployed when none is named. On several hosts the first one goes
    first, then a batch at a time. When one does not become healthy, all go back to what they ran before.
    """
    chosen = selection.select(project, target, index)
    with chosen.agents() as agents:
        from release import index as indexes
        from release.config import release_toml, unchecked
        from release.deploy import requests as deploys

        where = release_toml.index_url(chosen.settings, chosen.home)
        wanted = deploys.parse(version or unchecked.project_name(project))
        found = deploys.artifact(indexes.files(where, wanted.project, indexes.get), wanted, where)
        how = deploys.Options(plan=plan, wait=wait, retry_release=retry_release)
        settings = chosen.settings
        request = deploys.deploy_request(settings, chosen.target, found, where, chosen.home)
        outcome = _carry_out(chosen, agents, request, how)
    _print(chosen, outcome, how, as_json=as_json)


@click.command()
@selection.argument
@click.argument("release", required=False, type=int, metavar="[N]")
@options.how
@options.as_json
@click.pass_obj
def rollback(
    project: Path,
    target: str,
    release: int | None,
    *,
    plan: bool,
    wait: float,
    retry_release: bool,
    as_json: bool,
) -> None:
    """Make a new release on TARGET with the code and the configuration of release N.

    By default that is the last good one before the current. The hosts have it: no index is needed.
    """
    chosen = selection.select(project, target)
    from release.deploy import requests as deploys

    how = deploys.Options(plan=plan, wait=wait, retry_release=retry_release)
    request = deploys.request(
        "rollback",
        chosen.settings.app,
        chosen.target,
        chosen.home,
        release=release,
        keep=chosen.target.keep,
    )
    with chosen.agents() as agents:
        outcome = _carry_out(chosen, agents, request, how)
    _print(chosen, outcome, how, as_json=as_json)


def _carry_out(
    chosen: "Selection", agents: "dict[str, AgentProcess]", request: dict[str, Any], how: "Options"
) -> "Outcome":
    from release.deploy import controller, progress
    from release.deploy import requests as deploys

    requests = deploys.with_release_phase({**request, **how.as_dict()}, agents)
    with progress.shown(list(agents)) as show:
        return controller.run(agents, requests, show, None if how.plan else chosen.target.at_a_time)


def _print(chosen: "Selection", outcome: "Outcome", how: "Options", *, as_json: bool) -> None:
    from release.deploy import outcome as outcomes

    if as_json:
        chosen.emit_json(outcome)
    elif how.plan:
        for text in outcomes.plans(outcome, chosen.target.at_a_time):
            click.echo(text)
    elif chosen.target.hosts:
        selection.table(
            ("host", "outcome", ""),
            [(host.name, outcomes.state(host), outcomes.sentence(host)) for host in outcome.hosts],
        )
    chosen.finish(outcome)
    if not as_json and not how.plan:
        click.echo(outcomes.summary(outcome, chosen.name, chosen.seconds))


COMMANDS = (deploy, rollback)
