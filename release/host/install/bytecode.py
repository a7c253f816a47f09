"""The release before in, its compiled files beside the new sources out: half of a start is compiling."""

import os
from pathlib import Path


def share(before: Path, venv: Path) -> int:
    """Hard-link from virtualenv `before` what was compiled for files that are the same in `venv`; how many.

    The same file (uv links both from its cache) has the same time stamp, by which Python knows that compiled
    code is valid. Python replaces such a file and never writes into it, so a link is safe; the source's path,
    which is in it, is corrected by the import system.
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
