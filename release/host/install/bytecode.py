"""Reuse the compiled files of another release: compiling is half of a start."""

import os
from pathlib import Path


def share(before: Path, venv: Path) -> int:
    """Hard-link compiled files of virtualenv `before` into `venv` where both have the same source; how many.

    uv links both sources from its cache, so they have the same time stamp, by which Python validates compiled
    code. Python replaces such a file and never writes into it, so a link is safe; the import system corrects
    the path of the source in it.
    """
    shared = 0
    for folder, _, names in os.walk(before / "lib"):
        old = Path(folder)
        if old.name == "__pycache__":
            new = venv / old.relative_to(before)
            shared += sum(_link(old, new, name) for name in names)
    return shared


def _link(old: Path, new: Path, name: str) -> bool:
    """Link the compiled file `name` of folder `old` into `new`, if both belong to the same source."""
    source = f"{name.partition('.')[0]}.py"
    try:
        if not (old.parent / source).samefile(new.parent / source):
            return False
        new.mkdir(exist_ok=True)
        os.link(old / name, new / name)
    except (FileNotFoundError, FileExistsError):
        return False
    return True
