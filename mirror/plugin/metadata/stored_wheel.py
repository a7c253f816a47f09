"""METADATA of wheels that are here, which counts more than what their upstream has said before."""

from pathlib import Path
from typing import Any

from mirror.plugin.metadata import wheel
from mirror.plugin.metadata.store import MetadataStore, WheelKey
from mirror.plugin.upstream.page_cache import PageCache
from packhorse import files


def read(path: Path, filename: str) -> bytes:
    """Metadata of the wheel at `path`, which has this name. Raises BrokenWheelError or FileNotFoundError."""
    with files.open_unnoticed(path) as file:
        return wheel.read_metadata(file, filename)


def correct(store: MetadataStore, pages: PageCache, entry: Any, path: Path) -> bool:
    """Replace what is stored of a wheel that has arrived at `path`; whether it was not the wheel's own.

    An upstream's metadata file, and parts of its wheel, cannot be checked before.
    """
    key = WheelKey.of(entry.relpath, entry.hashes)
    stated = store.sha256(key) if key else None
    if key is None or stated is None:
        return False
    try:
        found = store.keep(key, read(path, entry.basename))
    except FileNotFoundError:
        return False
    except wheel.BrokenWheelError as reason:
        store.keep_broken(key, str(reason))
        found = None
    if found != stated:
        pages.changed(entry.project)
    return found != stated
