"""Commands that save a mirror and bring it back: backup, restore."""

from pathlib import Path

import click

from mirror.cli import options
from packhorse import console


@click.command()
@click.argument("target", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--keep", type=click.IntRange(1), default=7, show_default=True, help="How many backups to keep."
)
@click.pass_obj
def backup(path: Path | None, target: Path, keep: int) -> None:
    """Make a backup in the folder TARGET, also while the mirror serves; its mirror.toml is in it.

    That is the one that `mirror init` has read, wherever it is. Best on another disk: on the mirror's own,
    files are links, which the loss of the disk takes too.
    """
    from datetime import UTC, datetime

    from mirror.upkeep import backup as work

    folder = options.folder()
    settings = work.settings_of(folder, path, options.config_file(path))
    made = work.make(folder, target.absolute(), keep, datetime.now(UTC), settings)
    if settings is None:
        console.echo("there is no mirror.toml: this mirror goes by the defaults", err=True)
    console.echo(str(made))


@click.command()
@click.argument("backup", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.pass_obj
def restore(path: Path | None, backup: Path) -> None:
    """Restore a mirror from BACKUP, a folder that `mirror backup` made, where there is none.

    Its mirror.toml comes back to $PACKHORSE_HOME; one that is found without it (see --config) stays as it is.
    """
    from mirror.upkeep import restore as work

    settings = options.config_file(path)
    left = work.restore(options.folder(), backup, settings)
    console.echo(f"restored {options.folder().root} from {backup}")
    if left:
        console.echo(f"{settings} is not the one of the backup, which is {left}", err=True)


COMMANDS = (backup, restore)
