"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

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


def how(command: C) -> C:
    """Add `--plan`, `--wait` and `--retry-release`: how a deploy or a rollback is to be done."""
    plan = click.option("--plan", is_flag=True, help="Print what would be done on each host; touch nothing.")
    retry = click.option(
        "--retry-release",
        is_flag=True,
        help="Run the release phase again, although one was interrupted and may have done half of its work.",
    )
    return plan(wait(retry(command)))
