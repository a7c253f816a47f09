"""Commands about known vulnerabilities: advisories update, advisories status, audit."""

import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mirror.cli import options
from packhorse import console
from packhorse.errors import PackhorseError

if TYPE_CHECKING:
    from mirror.advisories.audit import Package
    from mirror.advisories.database import About
    from mirror.config import MirrorConfig

MOST_MEMORY = 4 * 2**30  # bytes that an update may take, whatever the file says


@click.group()
def advisories() -> None:
    """Known vulnerabilities: bring a new file of them, show how old the one here is."""


@advisories.command()
@click.argument("source", metavar="FILE")
@click.pass_obj
def update(path: Path | None, source: str) -> None:
    """Replace the known vulnerabilities by those in FILE.

    FILE is OSV's export of the ecosystem PyPI: its all.zip, a folder of JSON that this was unpacked into,
    or an https address from which to get it. Nothing asks for a newer one by itself: run this as often as
    you get one, at best every day. A running mirror uses it at once.
    """
    import os
    from functools import partial

    from mirror.advisories import update as work
    from mirror.serving import trust_store

    work.refuse_login(source)
    config = options.config(path)
    download = partial(work.over_network, trust_store=trust_store.path(os.environ))
    now = datetime.now(UTC)
    _limit_memory()
    try:
        with console.working(f"reading {work.shown(source)}"):
            done = work.update(source, options.folder().advisories, now, download)
    except MemoryError as error:
        raise PackhorseError(
            f"{work.shown(source)} takes more than {MOST_MEMORY} bytes of memory.",
            "This is no export of OSV's.",
        ) from error
    before = f" (before: {done.before.advisories})" if done.before else ""
    console.echo(f"{_described(done.about, now)}{before}")
    for name in done.unreadable[:20]:
        console.echo(f"left out, as it cannot be read: {name}", err=True)
    _warn(done.about, config, now)


@advisories.command()
@options.as_json
@click.pass_obj
def status(path: Path | None, *, as_json: bool) -> None:
    """Show how many known vulnerabilities there are, and how old the newest is."""
    from dataclasses import asdict

    from mirror.advisories.database import Database

    config = options.config_that_holds(path, keys={"advisories"})
    database, now = Database(options.folder().advisories), datetime.now(UTC)
    about = database.about()
    days = about.days_old(now)
    if as_json:
        console.emit_json(
            {**asdict(about), "days_old": days, "is_old": days > config.advisories.max_days_old}
        )
        return
    console.echo(_described(about, now))
    _warn(about, config, now)


@click.command()
@click.argument("sources", metavar="FILE|USER/INDEX…", nargs=-1, required=True)
@click.option(
    "--severity",
    "least",
    type=click.Choice(["low", "medium", "high", "critical"]),
    default="low",
    envvar="MIRROR_AUDIT_SEVERITY",
    show_default=True,
    show_envvar=True,
    help="Report what is at least as severe, or of unknown severity.",
)
@click.option("--cached", is_flag=True, help="Of an index, also what is cached for it from upstreams.")
@options.as_json
@click.pass_obj
def audit(path: Path | None, sources: tuple[str, ...], least: str, *, cached: bool, as_json: bool) -> None:
    """Say what has known vulnerabilities, in a lock or on an index.

    FILE is a lock, such as a pylock.toml; USER/INDEX, such as company/prod, is what lies on that
    index itself. `ignore` in mirror.toml lets single vulnerabilities pass, until a day. Needs no
    network and no running mirror, but what `mirror advisories update` has brought.

    Exit status: 0, nothing is affected; 1, something is.
    """
    from mirror.advisories import audit as work
    from mirror.advisories.database import Database

    config = options.config_that_holds(path, keys={"advisories", *(["indexes"] if cached else [])})
    folder, now = options.folder(), datetime.now(UTC)
    packages: dict[Package, list[str]] = {}
    for source in sources:
        for package in dict.fromkeys(_packages(source, config, cached=cached)):
            packages.setdefault(package, []).append(source)
    report = work.audit(packages, Database(folder.advisories), config.advisories, least, now)
    if as_json:
        console.emit_json(work.as_json(report))
    else:
        console.echo(work.as_text(report))
        _warn(report.about, config, now)
    sys.exit(1 if report.affected else 0)


def _packages(source: str, config: "MirrorConfig", *, cached: bool) -> "list[Package]":
    """The versions in a lock, or on an index. Raises PackhorseError for what is neither."""
    from mirror.advisories import audit as work
    from mirror.lockfiles import environments, reader
    from mirror.offline import storage

    if Path(source).is_file():
        lock = reader.read(source, [environments.anywhere()])
        for each in lock.elsewhere:
            console.echo(f"warning: {source}: {each}: not looked up", err=True)
        return [work.Package(pin.project, pin.version) for pin in lock.only_pins()]
    files = options.folder().files
    if options.folder().initialised() and _is_index(source, files, config):
        indexes = [source, *(storage.caches(config, source) if cached else ())]
        return [package for index in indexes for package in work.held(files / index)]
    raise PackhorseError(
        f"{source}: there is no such lock, and no index of this name in {options.folder().root}.",
        "Name a file, or an index such as company/prod; PACKHORSE_HOME is the folder of the mirror.",
    )


def _is_index(name: str, files: Path, config: "MirrorConfig") -> bool:
    """Whether mirror.toml has this index, or files lie on it, as on root/pypi."""
    well_formed = re.fullmatch(r"[^./][^/]*/[^./][^/]*", name)
    return name in config.indexes or (well_formed is not None and (files / name).is_dir())


def _described(about: "About", now: datetime) -> str:
    days = about.days_old(now)
    age = {0: "of today", 1: "of yesterday"}.get(days, f"{days} days old")
    return f"{about.advisories} advisories about {about.projects} projects, the newest {age}"


def _warn(about: "About", config: "MirrorConfig", now: datetime) -> None:
    if about.days_old(now) > config.advisories.max_days_old:
        console.echo(
            f"warning: the newest advisory is {about.days_old(now)} days old: mirror advisories update",
            err=True,
        )


def _limit_memory() -> None:
    import resource

    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    most = MOST_MEMORY if hard == resource.RLIM_INFINITY else min(MOST_MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))


COMMANDS: tuple[Any, ...] = (advisories, audit)
