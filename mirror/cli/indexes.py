"""The command that removes an index: index remove."""

from pathlib import Path

import click

from mirror.cli import options
from packhorse import console


@click.group()
def index() -> None:
    """Remove an index that mirror.toml does not name any more; `mirror init` makes those that it names."""


@index.command("remove")
@click.argument("name", metavar="USER/NAME")
@click.option("--yes", is_flag=True, help="Do not ask, also when something was uploaded to it.")
@click.pass_obj
def index_remove(path: Path | None, name: str, *, yes: bool) -> None:
    """Remove index USER/NAME, with all that was uploaded to it.

    One that mirror.toml declares, or from which another one inherits, is not removed. Names of projects stay
    reserved: `mirror release-name` ends that. Needs the mirror to serve.
    """
    from mirror import index_removal

    config, api = options.config_that_holds(path, keys={"indexes"}), options.api()
    projects = index_removal.projects_to_remove(api, config, name)
    if projects:
        more = f" and {len(projects) - 5} more" if len(projects) > 5 else ""
        console.ask_for_name(f"{name} has uploads of {', '.join(projects[:5])}{more}.", name, yes=yes)
    else:
        console.ask_first(f"Remove index {name}, to which nothing was uploaded?", yes=yes)
    console.echo(index_removal.remove(api, name))


COMMANDS = (index,)
