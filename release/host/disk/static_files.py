"""Static files of all releases on this host, in one folder that nginx looks into after the current release's.

A page that came from another release than the current one, from the one before a deploy or from a host that
has the next one already, finds its files there.
"""

import contextlib
import os
from pathlib import Path, PurePosixPath

from release.host.disk import releases
from release.host.disk.layout import Layout


def names(layout: Layout, number: int) -> list[str]:
    """Paths of the static files of release `number`, below their folder; none of one without [static]."""
    place = layout.static_of(number)
    return [
        str(Path(folder, name).relative_to(place)) for folder, _, found in os.walk(place) for name in found
    ]


def publish(layout: Layout) -> None:
    """Let the folder have what the complete releases have, and nothing else; of one name that of the newest.

    The files are those of the releases themselves, by hard links. Raises OSError.
    """
    wanted = _newest(layout)
    for folder, _, found in os.walk(layout.static, topdown=False):
        for path in (Path(folder, name) for name in found):
            if str(path.relative_to(layout.static)) not in wanted:
                path.unlink()
        with contextlib.suppress(OSError):  # it is not empty
            Path(folder).rmdir()
    scratch = layout.folder / ".static"
    for name, path in wanted.items():
        place = layout.static / name
        if not (place.exists() and place.samefile(path)):
            place.parent.mkdir(parents=True, exist_ok=True)
            scratch.unlink(missing_ok=True)
            scratch.hardlink_to(path)
            scratch.replace(place)


def _newest(layout: Layout) -> dict[str, Path]:
    """Name -> file of the newest release that has it; what is a folder in a newer one is no file."""
    found: dict[str, Path] = {}
    folders: set[str] = set()
    for number in reversed(releases.ready(layout)):
        for name in names(layout, number):
            above = {str(folder) for folder in PurePosixPath(name).parents}
            if name not in found and name not in folders and found.keys().isdisjoint(above):
                found[name] = layout.static_of(number) / name
                folders |= above
    return found
