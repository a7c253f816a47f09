"""Find archives of python-build-standalone in a folder, for hosts whose Debian lacks a version of Python."""

import re
from pathlib import Path

from packhorse.errors import PackhorseError

_ARCHIVE = re.compile(
    r"cpython-(?P<minor>3\.\d+)\.(?P<patch>\d+)\+(?P<date>\d+)-(?P<machine>x86_64|aarch64)"
    r"-unknown-linux-gnu-install_only(_stripped)?\.tar\.gz"
)


def newest(folder: Path, version: str) -> dict[str, str]:
    """Kind of processor (as `uname -m` has it) -> path of the newest build of Python `version` in `folder`.

    Raises PackhorseError when there is no such folder.
    """
    if not folder.is_dir():
        raise PackhorseError(
            f"{folder}: there is no such folder of Python builds.",
            "Correct python_builds in release.toml, or leave it out.",
        )
    found: dict[str, tuple[int, int, str]] = {}
    for path in folder.iterdir():
        matched = _ARCHIVE.fullmatch(path.name)
        if matched and matched["minor"] == version:
            build = (int(matched["patch"]), int(matched["date"]), str(path.absolute()))
            found[matched["machine"]] = max(build, found.get(matched["machine"], build))
    return {machine: path for machine, (_, _, path) in found.items()}
