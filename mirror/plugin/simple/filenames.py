"""What a project may be called, and which projects a file may be one of."""

import re
from collections.abc import Iterator, Sequence

from devpi_server.normalized import normalize_name

LONGEST = 255  # bytes that a file system takes as the name of a page or of a file
_NORMAL = re.compile(r"[a-z0-9]++(?:-[a-z0-9]++)*+")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION = re.compile(r"-(?=v?\d)")
_MOST = 3  # projects that an address is worth a question about


def is_project(name: str) -> bool:
    """Whether a project may have this normalised name (PEP 508), for which there is room on a disk."""
    return len(name) <= LONGEST and _NORMAL.fullmatch(name) is not None


def beginnings(filename: str) -> Iterator[str]:
    """All projects whose names `filename` begins with, the shortest first."""
    words = normalize_name(filename[:LONGEST]).split("-")
    return filter(is_project, ("-".join(words[:count]) for count in range(1, len(words))))


def projects_of(filename: str) -> Sequence[str]:
    """The projects that a file of this name is likely one of, the likeliest first.

    a-1-1.0.tar.gz may be version 1.0 of a-1, or 1-1.0 of a; of a wheel there is no doubt.
    """
    if len(filename) > LONGEST:
        return ()
    if filename.endswith(".whl"):
        ends = [filename.find("-")]
    else:
        ends = [found.start() for found in _VERSION.finditer(filename)] or [filename.rfind("-")]
    before = (filename[:end] for end in reversed(ends) if end > 0)
    return [normalize_name(name) for name in before if _NAME.fullmatch(name)][:_MOST]
