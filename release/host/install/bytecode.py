"""Compile a release when it is installed, or reuse what another release has: it is half of a start."""

import os
import py_compile
import warnings
from importlib.util import cache_from_source
from pathlib import Path

from packhorse import files
from release.host.control.session import Session
from release.host.install.interpreter import Interpreter

FEW = 64
"""So many files are compiled before another Python has started."""


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


def compile_rest(venv: Path, sources: Path, python: Interpreter, session: Session) -> None:
    """Compile what has no compiled file in virtualenv `venv`; `sources`: a file that may be overwritten.

    The processes may not write into their release: without this, every start would compile. By the Python
    `python` below the virtualenv: that of the virtualenv runs code of the release when it starts (*.pth).
    Files that are no Python of this version stay as they are.
    """
    missing = [*_sources(venv)]
    if python.is_own:  # another one finds out itself what it has not compiled
        missing = [source for source in missing if not Path(cache_from_source(source)).exists()]
    if len(missing) > FEW or not python.is_own:
        files.write_whole(sources, b"".join(os.fsencode(path) + b"\n" for path in missing))
        session.run([python.path, "-Im", "compileall", "-qq", "-j", "0", "-i", str(sources)])
        sources.unlink()
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in missing:
            py_compile.compile(path, quiet=2)


def _sources(venv: Path) -> list[str]:
    return [
        f"{folder}/{name}"
        for folder, _, names in os.walk(venv / "lib")
        for name in names
        if name.endswith(".py")
    ]
