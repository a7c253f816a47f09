"""Options that several commands share."""

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from packhorse.errors import PackhorseError

if TYPE_CHECKING:
    from release.deploy.progress import Verbosity

_VERBOSITY = "release.verbosity"
C = TypeVar("C", bound=Callable[..., object])


def index(command: C) -> C:
    """Add `--index`, which goes before release.toml: pass its value to `config.load`."""
    return click.option(
        "--index",
        metavar="URL",
        envvar="RELEASE_INDEX",
        show_envvar=True,
        help="Company index, such as https://pypi.example.com/company/dev.",
    )(command)


def outdir(command: C) -> C:
    """Add `--outdir`, None unless given: the project's dist."""
    return click.option(
        "-o",
        "--outdir",
        type=click.Path(file_okay=False, path_type=Path),
        help="Folder of the artifacts.  [default: dist in the project]",
    )(command)


def sign(command: C) -> C:
    """Add `--sign`."""
    return click.option(
        "--sign",
        metavar="KEY",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        envvar="RELEASE_SIGNING_KEY",
        show_envvar=True,
        help="Sign with this ssh key; a .pub file if ssh-agent has the key.",
    )(command)


def as_json(command: C) -> C:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(command)


def wait(command: C) -> C:
    """Add `--wait`: how long to wait for another command."""
    return click.option(
        "--wait",
        type=click.FloatRange(0),
        default=0,
        metavar="SECONDS",
        help="Wait so long for another command on the hosts to end.  [default: refuse at once]",
    )(command)


def verbosity(command: C) -> C:
    """Add `--quiet` and `--verbose`, for `chosen_verbosity`; the group has them, too."""

    def choose(context: click.Context, parameter: click.Parameter, given: bool) -> None:  # noqa: FBT001
        if given and context.meta.setdefault(_VERBOSITY, parameter.name) != parameter.name:
            raise click.UsageError("--quiet and --verbose exclude each other.")

    quiet = click.option(
        *("-q", "--quiet"),
        is_flag=True,
        expose_value=False,
        callback=choose,
        help="Show no steps: the summary line or the error, and warnings.",
    )
    verbose = click.option(
        *("-v", "--verbose"),
        is_flag=True,
        expose_value=False,
        callback=choose,
        help="Show the commands that run, too, here and on hosts.",
    )
    return quiet(verbose(command))


def chosen_verbosity() -> "Verbosity":
    """Level of output, which `--quiet` and `--verbose` change."""
    from release.deploy.progress import Verbosity

    found = click.get_current_context().meta.get(_VERBOSITY, "")
    return {"quiet": Verbosity.QUIET, "verbose": Verbosity.VERBOSE}.get(found, Verbosity.NORMAL)


def how(command: C) -> C:
    """Add `--plan`, `--wait`, `--retry-release`, `--quiet` and `--verbose`: how a deploy is to be done.

    What fails without a terminal says so in a line for the log of the job (`_with_summary`).
    """
    plan = click.option("--plan", is_flag=True, help="Print what would be done on each host; touch nothing.")
    retry = click.option(
        "--retry-release",
        is_flag=True,
        help="Run the release phase again, although one was interrupted and may have done half of its work.",
    )
    return plan(wait(retry(verbosity(_with_summary(command)))))


def _with_summary(command: C) -> C:
    """Give the error of `command` a line before it that says what failed, where its steps are lines, too."""

    @functools.wraps(command)
    def run(*arguments: object, **options: Any) -> object:  # noqa: ANN401  # the command's own
        from release.deploy import progress

        began = time.monotonic()
        try:
            return command(*arguments, **options)
        except PackhorseError as error:
            loud = chosen_verbosity() > progress.Verbosity.QUIET and not options["as_json"]
            if loud and not progress.on_terminal():
                what, seconds = click.get_current_context().command_path, time.monotonic() - began
                error.summary = f"{what} {options['target']} failed  ({seconds:.1f} s)"
            raise

    return cast("C", run)
