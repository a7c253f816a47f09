"""Command lines in, one call each, results out: the `release` command."""

from importlib.metadata import version
from pathlib import Path

import click

from packhorse import console


@click.group(context_settings={"auto_envvar_prefix": "RELEASE", "help_option_names": ["-h", "--help"]})
@click.option(
    "-C",
    "--project",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
    show_default=True,
    show_envvar=True,
    help="Folder of the project, with its pyproject.toml and release.toml.",
)
@click.version_option(version("packhorse"), message="packhorse %(version)s")
@click.pass_context
def cli(context: click.Context, project: Path) -> None:
    """Build a Python project, upload it to the company index, and run it on your servers."""
    context.obj = project.absolute()


def main() -> None:
    """Run the `release` command."""
    console.run(cli)
