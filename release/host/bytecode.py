"""The release before in, its compiled files beside the new sources out: half of a start is compiling."""

import os
from collections.abc import Iterator
from pathlib import Path


def share(before: Path, venv: Path) -> int:
    """Hard-link from virtualenv `before` what was compiled for files that are the same in `venv`; how many.

    The same file (uv links both from its cache) has the same time stamp, by which Python knows that compiled
    code is valid. Python replaces such a file and never writes into it, so a link is safe; the source's path,
    which is in it, is corrected by the import system.
    """
    shared = 0
    for source, compiled in _compiled(before):
        new, place = venv / source.relative_to(before), venv / compiled.relative_to(before)
        if new.exists() and source.samefile(new):
            place.parent.mkdir(exist_ok=True)
            if not place.exists():
                os.link(compiled, place)
                shared += 1
    return shared


def _compiled(venv: Path) -> Iterator[tuple[Path, Path]]:
    """Source and compiled file; a source compiled by two Pythons comes twice."""
    for folder in venv.glob("lib/*/site-packages/**/__pycache__"):
        for compiled in folder.glob("*.pyc"):
            source = folder.parent / f"{compiled.name.partition('.')[0]}.py"
            if source.exists():
                yield source, compiled
