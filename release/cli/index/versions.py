"""The commands on versions on their way from the indexes of the company to the targets: promote, pipeline."""

import contextlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from packhorse import console, files
from packhorse.errors import PackhorseError
from release.cli import options, target_command
from release.cli.index import upload

if TYPE_CHECKING:
    from release.config.release_toml import ReleaseConfig
    from release.inspect.pipeline import IndexCell, TargetRow
    from release.upload.promote import Way


@click.command()
@click.argument(
    "version", required=False, metavar="[NAME[==VERSION]]", shell_complete=target_command.versions
)
@click.option(
    "--from",
    "origin",
    metavar="INDEX",
    envvar="RELEASE_INDEX",
    help="USER/INDEX or a URL.  [env var: RELEASE_INDEX; default: index of release.toml]",
)
@click.option(
    "--to",
    "goal",
    metavar="INDEX",
    help="USER/INDEX or a URL.  [default: the `index` of the targets in release.toml]",
)
@click.option(
    "--username", metavar="NAME", help="Who pushes.  [env var: TWINE_USERNAME; default: owner of the index]"
)
@options.as_json
@click.pass_obj
def promote(
    project: Path,
    version: str | None,
    origin: str | None,
    goal: str | None,
    username: str | None,
    *,
    as_json: bool,
) -> None:
    """Bring a version from one index to another on the same server: the same bytes, nothing is built.

    \b
      release promote                                      the newest of this project, to the targets' index
      release promote shop==1.4.0 --from company/dev --to company/prod

    All files of the version go, wheel and sdist, with signatures and attestations; their hashes are compared
    before and after. A version that is there with the same bytes is fine, one with other bytes is refused,
    and so is one that is withdrawn, or whose lock names packages of the company that are not there yet.

    The password is that of `release upload`: of somebody who may upload to the other index. A target whose
    `index` in release.toml is the other one takes versions from there alone.
    """
    from release import index
    from release.config import unchecked
    from release.deploy import requests
    from release.upload import promote as work

    way = _way(project, origin, goal, username)
    wanted = requests.parse(version or unchecked.read(project).name)
    between = f"from {index.short(way.source)} to {index.short(way.target)}"
    with console.working(f"Promoting {wanted.project} {between}"):
        done = work.promote(wanted, way)
    if as_json:
        found = {"project": done.project, "version": done.version, "from": way.source, "to": way.target}
        console.emit_json({**found, "artifacts": [asdict(file) for file in done.files]})
        return
    for file in done.files:
        console.echo(f"{file.filename}  {'promoted' if file.new else upload.THERE}")
    console.echo(f"{done.project} {done.version} is on {way.target}")


def _way(project: Path, origin: str | None, goal: str | None, username: str | None) -> "Way":
    """From which index to which a version goes, by the options and release.toml. Raises PackhorseError."""
    from release import credentials, index, reading
    from release.config import company_index, release_toml
    from release.upload import promote as work

    home, settings = files.home(), release_toml.load(project)
    source = origin if origin and "://" in origin else company_index.of_project(settings, home)
    source = company_index.resolve(origin or source, source)
    settings = release_toml.load(project, index=source)  # with the rules for addresses
    target = company_index.resolve(goal, source) if goal else _only_other_index(settings, source)

    def log_in() -> credentials.Credentials:
        return credentials.of_any((target, source), home, username)

    get = reading.of([source, target], home).get
    return work.Way(source, target, log_in, get, index.ask, settings.required_signers)


def _only_other_index(settings: "ReleaseConfig", source: str) -> str:
    """The one index besides `source` that targets take their versions from. Raises PackhorseError."""
    from release.config import company_index

    named = [target.index for target in settings.targets.values() if target.index]
    others = {url for name in named if (url := company_index.resolve(name, source)) != source}
    if len(others) != 1:
        found = "several indexes" if others else "no index"
        raise PackhorseError(
            f"The targets of release.toml name {found} besides {source}.",
            "Say where it shall go: --to company/prod",
        )
    return others.pop()


@click.command()
@click.argument("name", required=False, metavar="[NAME]")
@options.index
@options.as_json
@click.pass_obj
def pipeline(project: Path, name: str | None, index: str | None, *, as_json: bool) -> None:
    """Show which version is on each index and on every host of all targets, and what is ahead of what.

    All indexes and hosts are asked side by side. One that does not answer is a line that says so, and fails
    nothing. NAME is the project, by default that of the folder.
    """
    from release.config import release_toml, unchecked
    from release.deploy import requests
    from release.inspect import pipeline as work

    found = unchecked.read(project)
    settings = release_toml.check(found, index)
    wanted = requests.parse(name or found.name).project
    with console.working(f"Asking the indexes, and the hosts of {', '.join(settings.targets) or 'local'}"):
        indexes, targets = _asked(settings, wanted)
    if as_json:
        rows = [{**asdict(row), "hosts": [asdict(cell) for cell in row.hosts]} for row in targets]
        console.emit_json({"project": wanted, "indexes": [asdict(each) for each in indexes], "targets": rows})
        return
    head = ("where", "host", "version", "release", "since", "")
    target_command.table(head, [*work.table(indexes, targets)])
    for command in work.advice(wanted, indexes, targets):
        console.echo(f"Next: {command}")


def _asked(settings: "ReleaseConfig", project: str) -> "tuple[list[IndexCell], list[TargetRow]]":
    """Ask all indexes and all hosts, at the same time."""
    from concurrent.futures import ThreadPoolExecutor

    from release import reading
    from release.deploy import source
    from release.inspect import survey
    from release.inspect.pipeline import TargetRow

    home = files.home()
    targets = survey.targets(settings, home)
    sources: dict[str, source.Source | None] = {}
    for name, target in targets.items():
        sources[name] = None
        with contextlib.suppress(PackhorseError):
            sources[name] = source.of_target(settings, target, home)
    urls = dict.fromkeys(url for each in sources.values() if each for url in (each.project, each.url) if url)
    get = reading.of([*urls], home).get
    with ThreadPoolExecutor(max(1, len(urls) + len(sources))) as pool:
        cells = [pool.submit(survey.index_cell, url, project, get) for url in urls]
        newest = {name: pool.submit(survey.available, each, project) for name, each in sources.items()}
        hosts = survey.hosts(settings, targets, home, project)
        rows = [
            TargetRow(name, each.url if each else None, newest[name].result(), hosts[name])
            for name, each in sources.items()
        ]
        return [each.result() for each in cells], rows


COMMANDS = (promote, pipeline)
