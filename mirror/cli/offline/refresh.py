"""Command that looks for new versions of what is in use: refresh."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mirror.cli import options
from packhorse import console

if TYPE_CHECKING:
    from mirror.offline.refresh import RefreshReport
    from mirror.serving.running import Running
    from mirror.state import Folder


@click.command()
@click.option(
    "--report",
    "locks",
    metavar="LOCK",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False),
    help="Say which pins of this lock are outdated. May be given several times.",
)
@click.option(
    "--python", "pythons", metavar="VERSION", multiple=True, help="For the report: this Python, such as 3.12."
)
@click.option(
    "--platform",
    "platforms",
    metavar="NAME",
    multiple=True,
    shell_complete=options.platforms,
    help="For the report: this platform.",
)
@options.index("Where to look  [default: company/dev, else root/pypi]")
@click.option(
    "--wait",
    metavar="SECONDS",
    type=click.FloatRange(0, 3600),
    default=0,
    help="Wait so long for a mirror that starts  [default: 0]",
)
@click.option(
    "--calendar",
    "times",
    metavar="TIMES",
    multiple=True,
    help="When a timer starts this (systemd.time(7)): then the metrics say when the next look is due.",
)
@options.as_json
@click.pass_obj
def refresh(
    path: Path | None,
    locks: tuple[str, ...],
    pythons: tuple[str, ...],
    platforms: tuple[str, ...],
    index: str | None,
    *,
    wait: float,
    times: tuple[str, ...],
    as_json: bool,
) -> None:
    """Look for new versions of what is in use, and say what came since the last look.

    In use are the projects of which the cache has files, what our own packages depend on, and what the locks
    of --report pin. Pages that the mirror has asked for within half an hour are not asked for again. What the
    index does not list, by a policy for example, is not new. Exit status 1 when the upstream does not answer
    for one of them. Needs the mirror to serve.
    """
    from mirror.lockfiles import environments, reader
    from mirror.offline import outdated, prefetch
    from mirror.offline import refresh as work
    from mirror.serving import running

    pins = reader.read_all(locks, environments.wanted(pythons, platforms)).pins if locks else ()
    folder = options.folder()

    def look() -> "RefreshReport":
        mirror = running.started(folder, wait)
        index_url = prefetch.index_url(mirror, index or options.config(path).default_index)
        return _look(folder, mirror, index_url, {pin.project for pin in pins})

    found = work.noted(folder, look, times)
    old = outdated.OutdatedReport(list(outdated.find(pins, found.pages)), len(pins)) if locks else None
    if as_json:
        console.emit_json({**work.as_json(found), **(old.as_json() if old else {})})
    else:
        console.echo("\n".join([*work.as_lines(found), *(old.as_lines() if old else ())]))
    _require_complete(found)


def _require_complete(found: "RefreshReport") -> None:
    """Raise PackhorseError with the projects that could not be looked for."""
    from packhorse.errors import PackhorseError

    if found.failed:
        raise PackhorseError(
            f"{len(found.failed)} projects could not be looked for.",
            "`mirror status` says whether the upstream answers; run the command again then.",
            detail="\n".join(f"{project}: {why}" for project, why in sorted(found.failed.items())),
        )


def _look(folder: "Folder", mirror: "Running", index_url: str, locked: Collection[str]) -> "RefreshReport":
    """Ask for the pages of what is in use, and of what locks name."""
    from mirror.offline import prefetch
    from mirror.offline import refresh as work
    from mirror.serving import running
    from packhorse.errors import PackhorseError

    if mirror.offline:
        raise PackhorseError(
            "This mirror is offline: it learns of no new versions.",
            "Run the command again when the mirror serves without --offline.",
        )
    used = work.used(folder, running.connect(folder))
    used = work.Used({*used.cached, *locked}, used.own)
    with (
        mirror.client(prefetch.SILENCE) as client,
        console.progress("Asking", len(used.cached) + len(used.own)) as step,
    ):
        return work.refresh(folder, index_url, client, used, step)


COMMANDS = (refresh,)
