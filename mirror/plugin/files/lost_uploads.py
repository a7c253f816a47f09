"""Uploaded files that are lost: put aside by `mirror check --repair`, or gone from the disk."""

from collections.abc import Iterable, Iterator
from typing import Any

from mirror.plugin.simple.file_rows import ProjectFile

QUARANTINED = "packhorse_quarantined"  # in devpi's record of a file: when it was put aside


def sentence(entry: Any) -> str:
    """A sentence for who asks for the file `entry`, which is not there."""
    since = entry.meta.get(QUARANTINED)
    where = f"was damaged, and is in quarantine since {since}" if since else "is not on the mirror's disk"
    return (
        f"{entry.relpath} {where}: upload it again, or restore it from a backup;"
        " `mirror check` on the mirror's machine lists all such files"
    )


def notes(filestore: Any, files: Iterable[ProjectFile]) -> Iterator[str]:
    """Sentences about those of `files`, of an index of uploads, that are lost."""
    for file in files:
        entry = filestore.get_file_entry(file.path)
        if entry is not None and not entry.file_exists():
            yield sentence(entry)
