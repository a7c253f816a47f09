#!/usr/bin/python3 -I
"""Write stdin to a file of the user that runs this, in a folder of that user; a link is never followed.

The role runs it as the user of an application: root makes nothing in folders that a user may write, as a link
there leads anywhere. Prints "changed" if it did something. Arguments: FOLDER NAME.
"""

import os
import sys
from pathlib import Path


def main(folder: Path, name: str) -> None:
    """Make `folder` unless it is there, and replace its file `name`; both are for their owner alone."""
    if not os.path.lexists(folder):
        folder.mkdir(mode=0o700)
    if folder.is_symlink() or not folder.is_dir() or folder.stat().st_uid != os.getuid():
        sys.exit(f"{folder} is a link, or not a folder of this user: look who made it, and remove it.")
    place, content = folder / name, sys.stdin.buffer.read()
    if place.is_file() and not place.is_symlink() and place.read_bytes() == content:
        return
    scratch = folder / f".{name}.{os.getpid()}"
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        os.fsync(file.fileno())
    scratch.replace(place)  # the link itself, where somebody has put one
    sys.stdout.write("changed\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
