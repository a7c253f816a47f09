"""The commands that turn maintenance mode on and off, and show it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from packhorse import console
from packhorse.errors import PackhorseError
from release.cli import options, target_command

LARGEST_PAGE = 1_000_000


@click.group(cls=target_command.Group, subcommand_metavar="[on|off] TARGET [OPTIONS]")
def maintenance() -> None:
    """Answer every request with 503 and a page, while the application runs on.

    \b
      release maintenance on production
      release maintenance on production --page sorry.html --allow /admin/
      release maintenance production            is it on, since when, by whom
      release maintenance off production

    No process changes, and no request is dropped: what has begun is finished. It stays as it is over deploys,
    rollbacks, restarts and reboots. A deploy can do it around itself: release deploy TARGET --maintenance.
    """


def _page(_context: click.Context, _parameter: click.Parameter, path: Path | None) -> str | None:
    """The text of the file; PackhorseError unless it is UTF-8 and not too large."""
    if path is None:
        return None
    with path.open("rb") as file:
        content = file.read(LARGEST_PAGE + 1)
    if len(content) > LARGEST_PAGE:
        raise PackhorseError(
            f"{path} has more than {LARGEST_PAGE // 1_000_000} MB.",
            "Let it load what is large from elsewhere: it is kept in memory on every host.",
        )
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise PackhorseError(f"{path} is no UTF-8: {error.reason}.", "Save it as HTML in UTF-8.") from error
    if not text.strip():
        raise PackhorseError(f"{path} is empty.", "Name a page of HTML, or none: there is a built-in one.")
    return text


def _paths(_context: click.Context, _parameter: click.Parameter, paths: tuple[str, ...]) -> list[str]:
    """The paths to leave open, as the hosts compare them."""
    from release.host.formats import open_paths

    return open_paths.check(paths)


@maintenance.command()
@target_command.argument
@click.option(
    "--page",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    callback=_page,
    metavar="FILE",
    help="HTML of yours to show, at most 1 MB.  [default: a short built-in page]",
)
@click.option(
    "--retry-after",
    type=click.IntRange(1, 7 * 24 * 3600),
    default=300,
    show_default=True,
    metavar="SECONDS",
    help="When clients and search engines may come back.",
)
@click.option(
    "--allow",
    multiple=True,
    callback=_paths,
    metavar="PATH",
    help="Leave this path open, and all below it; several: --allow /healthz --allow /admin/.",
)
@options.wait
@options.as_json
@click.pass_obj
def on(
    project: Path,
    target: str,
    page: str | None,
    retry_after: int,
    allow: list[str],
    *,
    wait: float,
    as_json: bool,
) -> None:
    """Turn maintenance mode on; when it is on, change how it answers.

    Every host does it by itself: when one fails, the command ends with an error, and says on which it is on.
    Clients that ask for JSON get JSON.
    """
    given = {"page": page, "retry_after": retry_after, "allow": allow}
    _ask(project, target, as_json=as_json, on=True, lock_wait=wait, **given)


@maintenance.command()
@target_command.argument
@options.wait
@options.as_json
@click.pass_obj
def off(project: Path, target: str, *, wait: float, as_json: bool) -> None:
    """Turn maintenance mode off: the application answers again."""
    _ask(project, target, as_json=as_json, on=False, lock_wait=wait)


@maintenance.command()
@target_command.argument
@options.as_json
@click.pass_obj
def show(project: Path, target: str, *, as_json: bool) -> None:
    """Say whether maintenance mode is on, since when, by whom, and what is open (also without this word)."""
    _ask(project, target, as_json=as_json, on=None)


def _ask(project: Path, target: str, *, as_json: bool, **fields: Any) -> None:  # noqa: ANN401  # those of Maintenance
    command = target_command.begin(project, target)
    from release.host.request import Maintenance

    together = fields["on"] is not None
    target_command.report(command, Maintenance, _print, as_json=as_json, together=together, **fields)


def _print(host: str, result: Mapping[str, Any]) -> None:
    from release.deploy import outcome as outcomes

    state = result["maintenance"]
    console.echo(
        f"{result['app']} on {host}: {outcomes.maintenance(state) if state else 'maintenance mode is off'}"
    )


COMMANDS = (maintenance,)
