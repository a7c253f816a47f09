"""The commands that change which release runs: deploy and rollback."""

import contextlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from packhorse import console
from packhorse.errors import PackhorseError
from release.cli import options, target_command
from release.cli.releases import assets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from release.agents.connection import AgentProcess, Event
    from release.agents.controller import Outcome, Preparation
    from release.cli.target_command import TargetCommand
    from release.deploy.hooks import HookedCommand
    from release.deploy.progress import ShowEvent
    from release.deploy.requests import Artifact
    from release.deploy.source import Source
    from release.host.request import Change, Deploy

INDEX_SECONDS = 2.0
"""How long a command waits for an index that its hosts may not need."""


@click.command()
@target_command.argument
@click.argument("version", required=False, metavar="[NAME==VERSION]", shell_complete=target_command.versions)
@options.how
@click.option(
    "--maintenance",
    is_flag=True,
    help="Answer 503 from before the release phase until the new release serves on all hosts.",
)
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
    maintenance: bool,
    as_json: bool,
) -> None:
    """Bring a version to TARGET and let it serve, without a failed request on the way.

    The newest version of the project on a company index is deployed when none is named; never one that only
    an upstream has. On several hosts the first one goes first, then a batch at a time. When one does not
    become healthy, all go back to what they ran before.
    """
    command = target_command.begin(project, target, index)
    with command.agents() as agents:
        from release.config import external
        from release.deploy import identity, requests, source

        brought = external.read(project, command.name, command.settings)
        found = source.of_target(command.settings, command.target, command.home)
        artifact = found.artifact(requests.parse(version or command.project))
        if artifact.yanked:
            text = f"{artifact.project} {artifact.version} is withdrawn (yanked) on {artifact.index}."
            console.echo(f"Warning: {text}", err=True)
        signers = command.settings.required_signers
        if not requests.parse(version or command.project).version:
            _warn_of_unsent(project, found, artifact)
        planned = asdict(identity.read(artifact, found.get, signers)) if plan else None
        how = {"plan": plan, "lock_wait": wait, "retry_release": retry_release, "maintenance": maintenance}
        change = _request(command, found, artifact, brought, **how)
        pushing = None
        if command.settings.pushed_to(command.name) and not plan:
            pushing = assets.prepared(command.settings, command.name, artifact, found.get)
        changes = requests.with_release_phase(change, agents, command.first)
        outcome = carry_out(command, agents, changes, preparation=pushing)
    report(command, outcome, plan=plan, as_json=as_json, planned=planned)


def _warn_of_unsent(project: Path, found: "Source", chosen: "Artifact") -> None:
    """Warn of a newer version in dist/ that no index has: its upload was forgotten."""
    from packaging.version import Version

    from packhorse import filenames
    from release.upload import twine

    with contextlib.suppress(PackhorseError):  # nothing was built here, or an index does not answer
        last = filenames.parse(twine.last_built(project / "dist")[0].name)
        if last is None or last.project != chosen.project or last.version <= Version(chosen.version):
            return
        if not found.knows(last.project, last.version):
            what, where = f"{last.project} {last.version}", found.project or found.url
            console.echo(
                f"Warning: dist/ has {what}, which {where} has not: {chosen.version} is deployed. "
                "To bring it there: release upload",
                err=True,
            )


def _request(
    command: "TargetCommand",
    found: "Source",
    artifact: "Artifact",
    brought: "Mapping[str, str]",
    **how: Any,  # noqa: ANN401  # fields of Deploy
) -> "Deploy":
    """The request to deploy `artifact` with what release.toml says, and the variables that are `brought`."""
    from release.config import assets as assets_settings
    from release.config import company_index
    from release.config.servers import services as databases
    from release.deploy import requests
    from release.host.request import Deploy

    bucket = command.settings.pushed_to(command.name)
    return requests.change(
        Deploy,
        *(command.settings.app, command.target, command.home),
        target_name=command.name,
        content=requests.content(
            *(command.settings, command.target, artifact, brought),
            {assets_settings.VARIABLE: bucket.url} if bucket else None,
        ),
        bind=command.target.address,
        index_url=company_index.simple_url(found.url),
        index_token=found.read_token(),
        signers=command.settings.required_signers,
        services={
            name: databases.VARIABLES[command.settings.services[name].kind]
            for name in command.target.services
        },
        **how,
    )


@click.command()
@target_command.argument
@click.argument("release", required=False, type=int, metavar="[N]", shell_complete=target_command.releases)
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

    Logins of databases of [services] stay what they are now: earlier ones are closed.

    By default that is the last good one before the current. Hosts that have it need no index. A host that was
    down, or was installed anew, gets the configuration from another one, and the code from the index.
    """
    command = target_command.begin(project, target, index)
    with command.agents() as agents:
        from release.config import company_index
        from release.deploy import requests
        from release.host.request import Rollback

        where = known_source(command)
        change = requests.change(
            Rollback,
            *(command.settings.app, command.target, command.home),
            target_name=command.name,
            release=release,
            index_url=where and company_index.simple_url(where.url),
            index_token=known_token(command, where),
            plan=plan,
            lock_wait=wait,
            retry_release=retry_release,
            signers=command.settings.required_signers,
        )
        changes = requests.with_release_phase(change, agents, command.first)
        outcome = carry_out(command, agents, changes, where)
    report(command, outcome, plan=plan, as_json=as_json)


def known_source(command: "TargetCommand") -> "Source | None":
    """The index of the target; None without any: then hosts have what they need, or say so."""
    from release.deploy import source

    with contextlib.suppress(PackhorseError):
        return source.of_target(command.settings, command.target, command.home)
    return None


def known_token(command: "TargetCommand", where: "Source | None") -> str | None:
    """Token by which hosts read the index; None without a login: they do without the index, or say so.

    The login is asked for seconds only: a rollback does not need it, and is in a hurry.
    """
    from release import reading

    with contextlib.suppress(PackhorseError):
        return reading.of([where.url], command.home, INDEX_SECONDS).token() if where else None
    return None


def carry_out(
    command: "TargetCommand",
    agents: "Mapping[str, AgentProcess]",
    changes: "Mapping[str, Change]",
    where: "Source | None" = None,
    preparation: "Preparation | None" = None,
) -> "Outcome":
    """Let all hosts make their `changes`; code that one sends to others has to be on the index of `where`.

    No host starts before `preparation` is done.
    """
    from release.agents import controller
    from release.deploy import outcome as outcomes
    from release.host.request import Configure

    with _hooks(command, changes) as running:
        with contextlib.ExitStack() as stack:
            show = stack.enter_context(target_command.progress_of(agents))
            planned = next(iter(changes.values())).plan
            balancers = None if planned else stack.enter_context(command.balancers(_warning(show)))

            def check(host: str, event: "Event") -> None:
                if event["event"] == "content" and where:
                    without_code = isinstance(changes[host], Configure)
                    _check_content(command, host, event["content"], where, without_code=without_code)
                show(host, event)

            batch = command.target.batch_size
            outcome = controller.run(agents, changes, check, batch, balancers, preparation=preparation)
        if running:
            running.finish(outcome, outcomes.error(outcome, command.name, named=bool(command.target.hosts)))
        return outcome


def _warning(show: "ShowEvent") -> "Callable[[str, str], None]":
    return lambda name, text: show(name, {"event": "warning", "text": text})


@contextlib.contextmanager
def _hooks(command: "TargetCommand", changes: "Mapping[str, Change]") -> "Iterator[HookedCommand | None]":
    """Run the hooks of release.toml around the block, which makes `changes`; a plan has none."""
    settings, change = command.settings.hooks, next(iter(changes.values()))
    wanted = (settings.before_deploy, settings.after_deploy, settings.on_failure, settings.webhook)
    if change.plan or not any(wanted):
        yield None
        return
    from release.deploy import hooks, identity, requests, source
    from release.host.request import Configure, Deploy

    facts = dict.fromkeys(("VERSION", "NUMBER", "COMMIT", "URL", "OUTCOME", "ERROR"), "")
    facts |= {"TARGET": command.name, "APP": command.settings.app, "HOSTS": " ".join(changes)}
    name = "config" if isinstance(change, Configure) else type(change).__name__.lower()
    facts |= {"COMMAND": name, "BY": change.by}
    if isinstance(change, Deploy):
        content = change.content
        facts["VERSION"] = content.version
        if settings.before_deploy:
            found = requests.Artifact(content.project, content.version, list(content.files))
            get = source.of_target(command.settings, command.target, command.home).get
            built = identity.read(found, get, command.settings.required_signers)
            facts["COMMIT"] = built.commit or ""
    project: Path = click.get_current_context().obj
    verbosity = options.chosen_verbosity()

    def show(subject: str, text: str) -> None:
        if subject == "warning" or verbosity > (subject == "command"):
            console.echo(f"  {subject:10}{'' if len(subject) < 10 else ' '}{text}", err=True)

    running = hooks.HookedCommand(settings, project, name, facts, show, quiet=not verbosity)
    with hooks.around(running):
        yield running


def _check_content(
    command: "TargetCommand", host: str, content: "Event", where: "Source", *, without_code: bool
) -> None:
    from release.deploy import identity

    identity.require_company_content(content, host, command.name, where.files, without_code=without_code)


def report(
    command: "TargetCommand",
    outcome: "Outcome",
    *,
    plan: bool,
    as_json: bool,
    planned: "dict[str, Any] | None" = None,
) -> None:
    """Print the outcome, and end with its error; `planned` is the identity of what a deploy would install."""
    from release.agents.connection import checked_answer

    with checked_answer(f"A host of {command.name}"):
        _print_outcome(command, outcome, plan=plan, as_json=as_json, planned=planned)


def _print_outcome(
    command: "TargetCommand",
    outcome: "Outcome",
    *,
    plan: bool,
    as_json: bool,
    planned: "dict[str, Any] | None",
) -> None:
    from release.deploy import identity
    from release.deploy import outcome as outcomes
    from release.variables import drift

    if as_json:
        command.emit_json(outcome, **({"artifact": planned} if planned else {}))
    elif plan:
        for artifact in [planned] if planned else outcomes.artifacts(outcome):
            console.echo(f"Artifact: {identity.sentence(artifact)}.")
        for text in outcomes.plans(outcome, command.target.batch_size):
            console.echo(text)
        if command.target.balancer:
            names = ", ".join(command.target.balancer.hosts)
            console.echo(f"While a host is switched, requests at {names} go to the others.")
        if command.left_out:
            console.echo(f"Left out: {', '.join(command.left_out)}.")
    elif command.target.hosts and options.chosen_verbosity():
        later = f"later: {drift.remedy(command.name, outcome.hosts[0].name)}"
        target_command.table(
            ("host", "outcome", ""),
            [
                *((host.name, outcomes.state(host), outcomes.sentence(host)) for host in outcome.hosts),
                *((host, "left out", later) for host in command.left_out),
            ],
        )
    command.finish(outcome)
    if not as_json and not plan:
        console.echo(outcomes.summary(outcome, command.name, command.seconds, command.left_out))


COMMANDS = (deploy, rollback)
