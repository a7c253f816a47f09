"""Shared by several commands: the mirror's folder, the settings, the `--index` option."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from packhorse import files

if TYPE_CHECKING:
    from mirror.config import MirrorConfig
    from mirror.state import Folder

index = click.option(
    "--index", metavar="USER/NAME", show_envvar=True, help="The index of uploads  [default: company/dev]"
)


def folder() -> "Folder":
    """The mirror's folder in $PACKHORSE_HOME."""
    from mirror.state import Folder

    return Folder(files.home())


def config(path: Path | None, given: dict[str, object] | None = None) -> "MirrorConfig":
    """The settings in `path` (None: where they are by default), overridden by `given`."""
    from mirror import config as settings

    return settings.load(config_file(path), given)


def config_file(path: Path | None) -> Path:
    """The settings file: `path`, or where it is by default; it need not exist."""
    from mirror import config as settings

    return path or settings.find(files.home())


def config_that_holds(path: Path | None, given: dict[str, object] | None = None) -> "MirrorConfig":
    """The same. Raises PackhorseError for a file that nobody named, unlike the one of `mirror init`."""
    from mirror import last_settings

    if path is None:
        last_settings.require_same(folder(), config_file(path), config(path))
    return config(path, given)
