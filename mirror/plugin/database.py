"""devpi's SQLite database, set so that those who read and the one who writes do not wait for each other."""

import sqlite3
from pathlib import Path

NAME = ".sqlite"  # below devpi's server folder


def use_wal(folder: Path) -> sqlite3.Connection | None:
    """Switch the database in `folder` to a write-ahead log; None when devpi keeps its data elsewhere.

    With the rollback journal that SQLite has by default, a commit waits until nobody reads, by
    sleeping up to a tenth of a second at a time. What is committed is as safe as before: `synchronous`
    stays FULL. The connection is to be kept open: the last one that closes would write the log back
    each time, and devpi opens one for each transaction.
    """
    path = folder / NAME
    if not path.exists():
        return None
    path.chmod(0o600)  # it holds the hashes of passwords, and its log gets the same permissions
    connection = sqlite3.connect(path, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL").close()
    return connection
