"""Record of the mirror.toml that `mirror init` read last: another one changes nothing unless it is named."""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import pydantic

from mirror import config as configuration
from mirror import settings_hashes
from mirror.config import MirrorConfig
from mirror.state import Folder
from packhorse import files
from packhorse.errors import PackhorseError


@dataclass(frozen=True)
class LastSettings:
    """A mirror.toml: its path, and hashes of its settings (an address of a webhook may be secret) by key."""

    file: str
    settings: Mapping[str, str]


def remember(folder: Folder, file: Path, config: MirrorConfig) -> None:
    """Note that `file` says what holds. Raises OSError."""
    _write(folder.last_settings, LastSettings(str(file.resolve()), settings_hashes.by_key(config)))


def read(folder: Folder) -> LastSettings | None:
    """The settings that hold; None if nobody noted them."""
    return _read(folder.last_settings)


def of_another_file(folder: Folder, file: Path) -> LastSettings | None:
    """The settings that hold, if they are of another file than `file`; None too if nobody noted them."""
    last = read(folder)
    return None if last is None or last.file == str(file.resolve()) else last


def named_upstream(folder: Folder) -> bool:
    """Whether the mirror.toml that holds has `url` of [upstream]."""
    last, unnamed = read(folder), settings_hashes.by_key(MirrorConfig())["upstream.url"]
    return last is not None and last.settings.get("upstream.url", unnamed) != unnamed


def move(record: Path, file: Path) -> None:
    """Note in `record`, which a backup brings, that its settings are in `file`. Raises OSError."""
    last = _read(record)
    _write(record, LastSettings(str(file.resolve()), last.settings if last else {}))


def _read(record: Path) -> LastSettings | None:
    try:
        return pydantic.TypeAdapter(LastSettings).validate_json(record.read_bytes())
    except (OSError, ValueError):
        return None


def _write(record: Path, last: LastSettings) -> None:
    files.write_whole(record, json.dumps(asdict(last), indent=2).encode() + b"\n", 0o600)


def require_same(
    folder: Folder, file: Path, config: MirrorConfig, keys: Collection[str] | None = None
) -> None:
    """Raise PackhorseError when `file`, which nobody has named, differs from the one that holds.

    `keys` are those to compare (None: all).
    """
    last = of_another_file(folder, file)
    differing = settings_hashes.differing(config, last.settings, keys) if last else []
    if last is None or not differing:
        return
    places = " or ".join(map(str, configuration.places(folder.home)))
    found = f"{file} differs from {last.file}, which `mirror init` has read"
    if not file.exists():
        found = (
            f"There is no {places}, and the defaults differ from {last.file}, which `mirror init` has read"
        )
    raise PackhorseError(
        f"{found}: {', '.join(differing)}.",
        "Run the command in the folder of that file, or name the one that is meant: "
        "`mirror --config FILE …`. If another one counts now, run `mirror init` with it first.",
    )
