"""Folder of a mirror as devpi-server leaves it, as far as a backup looks at it."""

import sqlite3
from contextlib import closing
from pathlib import Path

from mirror.state import Folder
from mirror.upkeep import backup


def make(home: Path) -> Folder:
    """A mirror in `home`: an uploaded file, what no backup has, and a database that holds a 7."""
    made = Folder(home)
    wheel = made.files / "company/dev/+f/abc/a-1.0.whl"
    for path in (
        wheel,
        made.pages / "fresh/a/page",
        made.server / "+downloads/half",
        made.server / ".serverversion",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    made.secret.write_text("secret")
    made.credentials.write_text("{}")
    with closing(sqlite3.connect(made.server / backup.DATABASE)) as database, database:
        database.execute("CREATE TABLE t AS SELECT 7 AS n")
    return made
