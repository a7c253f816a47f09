"""Commands for what a mirror stores: prune, check, shrink."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mirror.cli import options
from packhorse import console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirror.api import Api
    from mirror.upkeep.prune import Chosen, Plan


@click.command()
@click.option(
    "--keep-last",
    type=click.IntRange(0),
    metavar="N",
    help="Keep the N newest versions of each project that are here; alone, remove all others."
    "  [default: keep_last of mirror.toml, which removes nothing]",
)
@click.option("--unused-for", metavar="TIME", help="Remove what nobody has used for so long: 90d, 12h, 4w.")
@click.option(
    "--max-size",
    metavar="SIZE",
    help="Remove what is unused longest, until the rest takes 50G, 500M, 80% (of the disk).",
)
@click.option(
    "--keep",
    "locks",
    metavar="LOCK",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Keep the releases that this lock names. May be given several times.",
)
@click.option("--dry-run", is_flag=True, help="Show what would go, by project.")
@click.option("--yes", is_flag=True, help="Remove also what could not be had again.")
@options.as_json
@click.pass_obj
def prune(
    path: Path | None,
    keep_last: int | None,
    unused_for: str | None,
    max_size: str | None,
    locks: tuple[Path, ...],
    *,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Remove cached files of upstreams that nobody uses; never what was uploaded.

    A file that is removed is downloaded again when somebody asks for it, and must have the same hash
    then. Without rules, those of [prune] in mirror.toml hold, to which the mirror keeps by itself; its
    keep_last holds beside all others. What counts as newest: final releases in the order of PEP 440, then
    pre-releases, then yanked ones. Clients may install meanwhile. Needs the mirror to serve.

    \b
    mirror prune --unused-for 90d --keep-last 2 --dry-run
    mirror prune --max-size 50G --keep pylock.toml
    """
    from mirror.serving import running
    from mirror.upkeep import prune as work
    from mirror.upkeep import rules

    folder = options.folder()
    limits = options.config_that_holds(path, keys={"prune"}).prune
    given = rules.Given(keep_last, unused_for, max_size).or_else(limits)
    api = running.connect(folder)
    asked = rules.of(given, locks, folder.root)
    found = work.plan(api, asked, withdrawn=yes)
    if not yes:
        found = work.hold_back(found, work.unreachable(api, found))
    if not dry_run:
        work.refuse_unreachable(found)
    for sentence in work.warnings(found, asked):
        console.echo(sentence, err=True)
    _show_pruned(found, None if dry_run else _remove(api, found), as_json=as_json)


def _remove(api: "Api", found: "Plan") -> "Sequence[Chosen]":
    """Remove what is planned, with a bar for how far that is."""
    from mirror.upkeep import prune as work

    with console.progress("prune:", len(found.chosen)) as step:
        return work.remove(api, found.chosen, step)


def _show_pruned(found: "Plan", removed: "Sequence[Chosen] | None", *, as_json: bool) -> None:
    from mirror.upkeep import prune as work

    if as_json:
        console.emit_json(work.as_json(found, removed))
        return
    for line in work.table(found.chosen) if removed is None else ():
        console.echo(line)
    console.echo(work.total(found, removed))


@click.command()
@click.option(
    "--repair", is_flag=True, help="Repair what can be; damaged uploads are put aside, never deleted."
)
@options.as_json
@click.pass_context
def check(context: click.Context, *, repair: bool, as_json: bool) -> None:
    """Check everything that the mirror stores: files by their hashes, records, metadata, pages.

    Also while clients use it. With --repair, cached files that are damaged or missing come from the upstream
    again, leftovers go, and a damaged upload is moved to mirror/server/+quarantine, so that nobody gets it.
    Ends with 1 when something is wrong and not repaired. Needs the mirror to serve.
    """
    from mirror.serving import running
    from mirror.upkeep import check as work
    from mirror.upkeep import repair as repairs

    folder = options.folder()
    api = running.connect(folder)
    look = work.Check(folder, api)
    looks = look.looks()
    with console.progress("check:", len(looks)) as step:
        problems = look.run(looks, step)
    outcomes = [repairs.Outcome(problem) for problem in problems]
    if repair:
        found = running.find(folder)
        repairer = repairs.Repair(folder, api, found.url, found.root)
        with console.progress("repair:", len(problems)) as step:
            outcomes = repairer.run(problems, step)
    if as_json:
        console.emit_json(repairs.as_json(outcomes, len(looks)))
    else:
        for outcome in outcomes:
            console.echo(repairs.line(outcome))
        console.echo(repairs.summary(outcomes, len(looks)))
    context.exit(repairs.exit_code(outcomes))


@click.command()
@click.option("--dry-run", is_flag=True, help="Say how much would be freed, and change nothing.")
@click.option(
    "--serverdir",
    metavar="FOLDER",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The data of a devpi-server that `mirror serve` does not run, such as a replica.",
)
@options.as_json
def shrink(*, dry_run: bool, serverdir: Path | None, as_json: bool) -> None:
    """Shrink the database, which keeps every value that was ever replaced.

    Nothing else is dropped: pages, files, users, tokens and replicas stay as they are. Clients may use the
    mirror meanwhile; uploads wait while the database is written anew. It may be stopped at any time; the next
    run goes on.

    \b
    mirror shrink --dry-run
    mirror shrink
    """
    from dataclasses import asdict

    from mirror import state
    from mirror.upkeep import shrink as work

    folder = options.folder()
    idle = serverdir is None and state.read_serving(folder) is None
    settle = 0 if idle or dry_run else work.SETTLE
    done = work.run(serverdir or folder.server, console.progress, dry=dry_run, settle=settle)
    if as_json:
        console.emit_json({**asdict(done), "freed": done.freed, "dry_run": dry_run})
    else:
        console.echo(work.summary(done, dry=dry_run))


COMMANDS = (prune, check, shrink)
