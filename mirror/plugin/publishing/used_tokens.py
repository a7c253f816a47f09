"""Remember which ID tokens were used, in a file: each is exchanged once, also after a restart."""

import hashlib
import os
import sqlite3
from contextlib import closing
from pathlib import Path

_TABLE = "CREATE TABLE IF NOT EXISTS used (token BLOB PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID"
BUSY = 5.0  # seconds for another process of this server


class UsedTokens:
    """Hashes of issuers and token ids (`jti`), each until its token has expired. Thread- and process-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, issuer: str, jti: str, until: float, now: float) -> bool:
        """Whether this token is used for the first time. It is noted on disk then; raises sqlite3.Error."""
        digest = hashlib.sha256(f"{issuer}\0{jti}".encode("utf-8", "surrogatepass")).digest()
        if not self._path.exists():
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
        with closing(sqlite3.connect(self._path, timeout=BUSY)) as database, database:
            database.execute(_TABLE)
            database.execute("DELETE FROM used WHERE until < ?", (now,))
            done = database.execute("INSERT OR IGNORE INTO used VALUES (?, ?)", (digest, until))
            return done.rowcount == 1
