"""The commands on the bucket of static files: assets push, assets prune."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from packhorse import console, files
from packhorse.errors import PackhorseError
from release.cli import options, target_command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from release.agents.connection import AgentProcess
    from release.assets.prune import Prune
    from release.assets.push import Files, Push
    from release.config.release_toml import ReleaseConfig
    from release.deploy.requests import Artifact
    from release.host.request import Request
    from release.index import Get


@click.group()
def assets() -> None:
    """Keep static files in a bucket, from where browsers or a CDN get them: [assets] of release.toml.

    \b
      release assets push production            what the bucket lacks of the newest version
      release assets prune production --dry-run what no release needs any more

    `release deploy` pushes by itself, before any host switches. It takes: pip install 'packhorse[assets]'.
    Credentials come from where AWS's own tools have them: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY,
    AWS_PROFILE, ~/.aws, a role of the machine. See docs/static.md.
    """


@assets.command()
@target_command.target_name
@click.argument("version", required=False, metavar="[NAME==VERSION]", shell_complete=target_command.versions)
@click.option("--force", is_flag=True, help="Push all files, also those that are there.")
@options.index
@options.as_json
@click.pass_obj
def push(
    project: Path, target: str, version: str | None, index: str | None, *, force: bool, as_json: bool
) -> None:
    """Push the static files of a version to the bucket of TARGET: those that it lacks.

    They are those of the wheel on the company index (the newest version if none is named), not of this
    folder. Names with a hash are cached for ever by browsers; others are replaced by each push.
    """
    from release.config import release_toml, unchecked
    from release.deploy import requests, source

    found = unchecked.read(project)
    settings = release_toml.check(found, index)
    which = _files(settings, target)
    with console.working(f"Comparing with {which.assets.bucket}"):
        where = source.of_target(settings, settings.target(target), files.home())
        pushing = prepared(
            settings, target, where.artifact(requests.parse(version or found.name)), where.get, force=force
        )
        plan = pushing.plan()
    with console.progress(pushing.sentence(plan), len(plan.due)) as step:
        pushing.upload(plan, step)
    warn(plan.unhashed)
    if as_json:
        console.emit_json(
            {
                "target": target,
                "version": pushing.artifact.version,
                "bucket": which.assets.bucket,
                "url": which.assets.url,
                "pushed": [each.key for each in plan.due],
                "present": len(plan.wanted) - len(plan.due),
                "unhashed": plan.unhashed,
            }
        )
    else:
        console.echo(
            f"{pushing.artifact.project} {pushing.artifact.version}: {len(plan.due)} static files pushed to "
            f"{which.assets.bucket}, {len(plan.wanted) - len(plan.due)} were there: {which.assets.url}"
        )


@assets.command()
@target_command.target_name
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("--yes", is_flag=True, help="Ask nothing.")
@options.wait
@options.as_json
@click.pass_obj
def prune(project: Path, target: str, *, dry_run: bool, yes: bool, wait: float, as_json: bool) -> None:
    """Remove from the bucket of TARGET what no release needs that a host of any target still has.

    All hosts of release.toml are asked, and let nobody deploy meanwhile; when one does not answer, nothing is
    removed. How many releases a host keeps: `keep` of a target. What this project has not pushed stays.
    """
    from release.config import release_toml

    settings = release_toml.load(project)
    which = _files(settings, target)
    pruning = _pruned(settings, which, wait, None if yes and not dry_run else frozenset())
    if pruning.unneeded and not (dry_run or yes):
        for key in pruning.unneeded:
            console.echo(key, err=True)
        where = f"{which.assets.bucket}/{which.prefix}"
        question = f"Remove {len(pruning.unneeded)} of {pruning.there} objects from {where}?"
        console.ask_first(question, yes=False)
        pruning = _pruned(settings, which, wait, frozenset(pruning.unneeded))
    _report(pruning, which, target, dry_run=dry_run, as_json=as_json)


def _pruned(settings: "ReleaseConfig", which: "Files", wait: float, agreed: frozenset[str] | None) -> "Prune":
    """Remove what all hosts say that they do not need, of the `agreed` names; None: of all."""
    from release.agents import controller, schedule
    from release.assets.bucket import Bucket
    from release.assets.prune import Prune

    with _asked(settings, wait) as (agents, asked):
        pruning = Prune(Bucket(which.assets, which.app), which.prefix, list(agents), agreed)
        with console.working(f"Asking {len(agents)} hosts which files their releases need"):
            outcome = controller.run(agents, asked, pruning.hear, len(agents), preparation=pruning)
    if not outcome.stopped:
        pruning.require_all()
    if reason := schedule.conflict(outcome.hosts) or outcome.stopped:
        raise PackhorseError(reason, "Perhaps not all was removed. Run the command again; it goes on there.")
    return pruning


def _report(pruning: "Prune", which: "Files", target: str, *, dry_run: bool, as_json: bool) -> None:
    removed = pruning.unneeded if dry_run else pruning.removed
    kept = pruning.there - len(removed)
    if as_json:
        found = {"removed": removed, "kept": kept, "foreign": pruning.foreign, "dry_run": dry_run}
        console.emit_json({"target": target, "bucket": which.assets.bucket, **found})
        return
    if dry_run:
        for key in removed:
            console.echo(key)
    what = "would be removed" if dry_run else "removed"
    bucket = f"{which.assets.bucket}/{which.prefix}"
    others = f", {len(pruning.foreign)} of them of others" if pruning.foreign else ""
    console.echo(f"{len(removed)} objects {what} from {bucket}, {kept} stay{others}", err=dry_run)


@contextlib.contextmanager
def _asked(
    settings: "ReleaseConfig", wait: float
) -> "Iterator[tuple[dict[str, AgentProcess], dict[str, Request]]]":
    """Agents on all hosts of all targets, and their requests."""
    from release.agents import connection, destinations, schedule
    from release.deploy import requests
    from release.host.request import StaticFiles

    home, app = files.home(), settings.app
    agents: dict[str, AgentProcess] = {}
    asked: dict[str, Request] = {}
    names = [*settings.with_hosts, *(["local"] if settings.pushed_to("local") else [])]
    with contextlib.ExitStack() as stack:
        for name in names:
            target, here = settings.target(name), connection.LocalDestination.below(home, name)
            request = requests.request(
                *(StaticFiles, app, target, home),
                target_name=name,
                gates=schedule.LOCK_GATES,
                lock_wait=wait,
            )
            there = destinations.of_target(here, target.hosts, target.user, app, settings.targets)
            for host, destination in there.items():
                agents[host] = stack.enter_context(connection.AgentProcess(destination))
                asked[host] = request
        yield agents, asked


def _files(settings: "ReleaseConfig", target: str) -> "Files":
    """The files and the bucket of `target`. Raises PackhorseError when it has none."""
    from release.assets.push import Files

    settings.target(target)  # refuses a word that is no target
    found = settings.pushed_to(target)
    if found is None or settings.static is None:
        raise PackhorseError(
            f"{target} has no bucket for static files.",
            "Name it in release.toml: [assets] bucket and url, perhaps targets, too.",
        )
    return Files(settings.app, settings.static, found, settings.required_signers)


def prepared(
    settings: "ReleaseConfig", target: str, artifact: "Artifact", get: "Get", *, force: bool = False
) -> "Push":
    """The push of a version for `target`, which has a bucket. Raises PackhorseError."""
    from release.assets.bucket import Bucket
    from release.assets.push import Push

    which = _files(settings, target)
    return Push(which, artifact, Bucket(which.assets, which.app), force=force, get=get)


def warn(unhashed: list[str]) -> None:
    """Say which files have no hash in their names."""
    if unhashed:
        more = f" and {len(unhashed) - 1} more" if len(unhashed) > 1 else ""
        console.echo(
            f"Warning: {unhashed[0]}{more} without a hash in the name: each push replaces it for all "
            "releases and targets.",
            err=True,
        )


COMMANDS = (assets,)
