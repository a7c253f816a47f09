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
def backup(target: Path, keep: int) -> None:
    """Make a backup in the folder TARGET, also while the mirror serves.

    Best on another disk: on the mirror's own, files are links, which the loss of the disk takes too.
    """
    from datetime import UTC, datetime

    from mirror.upkeep import backup as work

    console.echo(str(work.make(options.folder(), target.absolute(), keep, datetime.now(UTC))))


@click.command()
@click.argument("backup", type=click.Path(exists=True, file_okay=False, path_type=Path))
def restore(backup: Path) -> None:
    """Restore a mirror from BACKUP, a folder that `mirror backup` made, where there is none."""
    from mirror.upkeep import backup as work

    work.restore(options.folder(), backup)
    console.echo(f"restored {options.folder().root} from {backup}")


COMMANDS = (backup, restore)
