"""The `mirror` command with its help text; its subcommands are in the modules and the folder beside it."""

from pathlib import Path

import click

from mirror.cli import (
    accounts,
    advisories,
    backup,
    indexes,
    monitoring,
    packages,
    policy,
    publishers,
    server,
    upkeep,
)
from mirror.cli.offline import bundle, prefetch, refresh
from packhorse import console

HELP = """Run the company index: a caching mirror of the public index, and your own packages.

\b
Start with:
  mirror init                  create it, in $PACKHORSE_HOME (default ~/.packhorse)
  mirror serve --background    start it, and return when it answers
  mirror status                show its address and what it holds
  pip install --index-url http://127.0.0.1:3141/company/dev/+simple/ flask

Everything has a default; mirror.toml (see mirror.example.toml) changes it.

\b
Completion of commands and options, for bash (zsh and fish likewise):
  eval "$(_MIRROR_COMPLETE=bash_source mirror)"
"""


# In the order in which a team needs them.
SECTIONS = {
    "Run it": "init serve stop status front",
    "Own packages": "yank unyank reserve release-name index user token publishers",
    "Filled ahead, without a network": "prefetch verify refresh bundle",
    "What may come in": "policy why accept-changed advisories audit sbom",
    "Look after it": "backup restore prune check shrink audit-log webhook",
}


class _Sections(click.Group):
    """Lists its commands below the titles of SECTIONS."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        for title, names in SECTIONS.items():
            with formatter.section(title):
                width = formatter.width - 20
                found = [(name, self.commands[name].get_short_help_str(width)) for name in names.split()]
                formatter.write_dl(found, col_max=16)


@click.group(
    cls=_Sections,
    help=HELP,
    context_settings={"auto_envvar_prefix": "MIRROR", "help_option_names": ["-h", "--help"]},
)
@click.option(
    "--config",
    "path",
    envvar="MIRROR_CONFIG",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    show_envvar=True,
    help="The settings  [default: ./mirror.toml, else $PACKHORSE_HOME/mirror.toml; neither is needed]",
)
@click.version_option(package_name="packhorse", message="packhorse %(version)s")
@click.pass_context
def cli(context: click.Context, path: Path | None) -> None:
    context.obj = path


for command in (
    *server.COMMANDS,
    *prefetch.COMMANDS,
    *packages.COMMANDS,
    *policy.COMMANDS,
    *refresh.COMMANDS,
    *accounts.COMMANDS,
    *indexes.COMMANDS,
    *publishers.COMMANDS,
    *backup.COMMANDS,
    *advisories.COMMANDS,
    *bundle.COMMANDS,
    *upkeep.COMMANDS,
    *monitoring.COMMANDS,
):
    cli.add_command(command)


def main() -> None:
    """Run the `mirror` command."""
    console.run(cli)
