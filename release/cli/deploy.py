"""The commands that change which release runs: deploy and rollback."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from packhorse.errors import PackhorseError
from release.cli import options, selection

if TYPE_CHECKING:
    from release.cli.selection import Selection
    from release.deploy.connection import AgentProcess
    from release.deploy.controller import Outcome
    from release.host.request import Change


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
        from release.config import release_toml
        from release.deploy import requests
        from release.host.request import Deploy

        where = release_toml.index_url(chosen.settings, chosen.home)
        wanted = requests.parse(version or chosen.project)
        artifact = requests.artifact(indexes.files(where, wanted.project, indexes.get), wanted, where)
        change = requests.change(
            Deploy,
            *(chosen.settings.app, chosen.target, chosen.home),
            content=requests.content(chosen.settings, chosen.target, artifact),
            bind=chosen.target.address,
            index_url=release_toml.simple_url(where),
            plan=plan,
            lock_wait=wait,
            retry_release=retry_release,
        )
        outcome = _carry_out(chosen, agents, change)
    _print(chosen, outcome, plan=plan, as_json=as_json)


@click.command()
@selection.argument
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
    chosen = selection.select(project, target, index)
    with chosen.agents() as agents:
        from release.config import release_toml
        from release.deploy import requests
        from release.host.request import Rollback

        index_url = None
        with contextlib.suppress(PackhorseError):  # without any, the hosts have what they need, or say so
            index_url = release_toml.simple_url(release_toml.index_url(chosen.settings, chosen.home))
        change = requests.change(
            Rollback,
            *(chosen.settings.app, chosen.target, chosen.home),
            release=release,
            index_url=index_url,
            plan=plan,
            lock_wait=wait,
            retry_release=retry_release,
        )
        outcome = _carry_out(chosen, agents, change)
    _print(chosen, outcome, plan=plan, as_json=as_json)


def _carry_out(chosen: "Selection", agents: "dict[str, AgentProcess]", change: "Change") -> "Outcome":
    from release.deploy import controller, progress, requests

    by_host = requests.with_release_phase(change, agents)
    with progress.shown(list(agents)) as show:
        return controller.run(agents, by_host, show, chosen.target.batch_size)


def _print(chosen: "Selection", outcome: "Outcome", *, plan: bool, as_json: bool) -> None:
    from release.deploy import outcome as outcomes

    if as_json:
        chosen.emit_json(outcome)
    elif plan:
        for text in outcomes.plans(outcome, chosen.target.batch_size):
            click.echo(text)
    elif chosen.target.hosts:
        selection.table(
            ("host", "outcome", ""),
            [(host.name, outcomes.state(host), outcomes.sentence(host)) for host in outcome.hosts],
        )
    chosen.finish(outcome)
    if not as_json and not plan:
        click.echo(outcomes.summary(outcome, chosen.name, chosen.seconds))


COMMANDS = (deploy, rollback)
