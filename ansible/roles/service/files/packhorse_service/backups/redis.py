"""Dump and restore one instance of Redis: an RDB file of one moment, read by a server apart before it counts.

The folder belongs to the user redis: all files in it are read, written and moved as that user.
"""

import contextlib
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from packhorse_service import redis, state
from packhorse_service.backups import processes
from packhorse_service.backups.names import Names
from packhorse_service.backups.processes import BackupError
from packhorse_service.state import Database

LONGEST_START = 60.0
LONGEST_SAVE = 3600.0
"""Seconds in which an instance has to write its data."""
# Run as the user of the folder. A file that a restore has brought is moved after the one that it replaces, so
# that this may be run again after a kill at any place.
_SWITCH = """
set -e
cd "$1"
mkdir -p "$2__o"
for file in "$2.rdb" "$2.aof"; do
    if [ -e "$2__n/$file" ]; then
        if [ -e "$file" ]; then mv "$file" "$2__o/$file"; fi
        mv "$2__n/$file" "$file"
    fi
done
rm -rf "$2__n"
"""


@dataclass(frozen=True)
class Redis(Names):
    """The instance of a database of a target; `restored` and `old` are folders beside its data."""

    settings: Database
    folder: str = redis.DATA

    @property
    def database(self) -> str:  # type: ignore[override]  # read only, as of all engines
        """Its name."""
        return self.settings.name

    def exists(self, name: str) -> bool:
        """Whether there is this instance, or the folder of what was replaced."""
        if name == self.database:
            return (redis.ETC / f"{name}.conf").exists()
        with contextlib.suppress(BackupError):
            processes.run(["test", "-d", f"{self.folder}/{name}"], user=redis.USER)
            return True
        return False

    def version(self) -> str:
        """The version of the server."""
        return str(redis.describe(self.settings)["version"])

    def facts(self) -> dict[str, str]:
        """A file has everything."""
        return {}

    def dump(self, name: str, write: Callable[[bytes], object]) -> dict[str, int]:
        """Write all keys of one moment, as Redis's own file, and count them."""
        if name == self.database:
            with redis.connection(self.settings) as server:
                _save(server)
            return self._give(f"{self.folder}/{name}.rdb", write)
        place = f"{self.folder}/{name}"
        with self._apart(place, aof=True) as server:
            _save(server)
        return self._give(f"{place}/{self.database}.rdb", write)

    def _give(self, path: str, write: Callable[[bytes], object]) -> dict[str, int]:
        """Write the file at `path` as it is now, whatever takes its place meanwhile."""
        link = f"{path}.backup"
        processes.run(["ln", "-f", "--", path, link], user=redis.USER)
        try:
            keys, _ = _checked(link)
            processes.pump(["cat", "--", link], write, user=redis.USER)
        finally:
            processes.run(["rm", "-f", "--", link], user=redis.USER)
        return {"keys": keys}

    def load(self, path: Path, facts: dict[str, str]) -> tuple[dict[str, int], list[str]]:  # noqa: ARG002
        """Let a server apart read the file, and write what an instance starts from."""
        self.drop(self.restored)
        place = f"{self.folder}/{self.restored}"
        processes.run(["mkdir", "-m", "0700", "--", place], user=redis.USER)
        with path.open("rb") as file:
            target = f"of={place}/{self.database}.rdb"
            processes.run(["dd", target, "bs=1M", "status=none"], file, user=redis.USER)
        keys, expiring = _checked(f"{place}/{self.database}.rdb")
        with self._apart(place, aof=False) as server:
            there = sum(int(number) for number in re.findall(r":keys=(\d+)", str(server("INFO", "keyspace"))))
            if not keys - expiring <= there <= keys:
                raise BackupError(f"Redis has read {there} keys instead of {keys}.", "Take another backup.")
            server("CONFIG", "SET", "appendonly", "yes")
            _wait(server, "aof_rewrite_in_progress:0", "aof_rewrite_scheduled:0")
        return {"keys": keys}, []

    def switch(self) -> str:
        """Let the instance start from what was restored; what it had lies in a folder beside it."""
        unit = self.settings.place
        state.write(state.switching(self.database), "{}\n", 0o600)
        processes.run(["systemctl", "stop", unit], user="root")
        move = ["sh", "-c", _SWITCH, "sh", self.folder, self.database]
        processes.run(move, user=redis.USER)
        processes.run(["systemctl", "start", unit], user="root")
        state.switching(self.database).unlink()
        return self.old

    def drop(self, name: str) -> None:
        """Remove the folder of what a restore has filled or replaced."""
        processes.run(["rm", "-rf", "--", f"{self.folder}/{name}"], user=redis.USER)

    def shell(self, run: Callable[[list[str], dict[str, str]], int]) -> int:
        """redis-cli, as the application."""
        which = self.settings.current
        command = ["redis-cli", "-p", str(self.settings.port), "--user", self.settings.login(which)]
        return run([*command, "--no-auth-warning"], {"REDISCLI_AUTH": self.settings.passwords[which]})

    @contextlib.contextmanager
    def _apart(self, place: str, *, aof: bool) -> Iterator[redis.Command]:
        """A server without a network on the files of folder `place`, until the end of the block."""
        name, link = self.database, f"{place}/socket"
        options = {
            "port": "0",
            "unixsocket": link,
            "unixsocketperm": "700",
            "dir": place,
            "dbfilename": f"{name}.rdb",
            "appenddirname": f"{name}.aof",
            "appendonly": "yes" if aof else "no",
            "save": "",
        }
        command = ["redis-server", *(part for key, value in options.items() for part in (f"--{key}", value))]
        with (
            tempfile.TemporaryFile() as said,
            processes.start(command, user=redis.USER, stdout=said, stderr=subprocess.STDOUT) as process,
        ):
            try:
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                    _connect(connection, link, process, said)
                    with connection.makefile("rwb") as stream:
                        server = redis.Command(stream)
                        _wait(server, "loading:0")
                        yield server
            finally:
                process.terminate()
                process.wait(60)


def _connect(
    connection: socket.socket, link: str, process: "subprocess.Popen[bytes]", said: "processes.Bytes"
) -> None:
    """Connect as soon as the server listens. Raises BackupError when it ends instead, or does neither."""
    until = time.monotonic() + LONGEST_START
    while True:
        try:
            connection.connect(link)
        except OSError:
            if process.poll() is not None:
                said.seek(0)
                processes.require(process.returncode or 1, ["redis-server"], said.read())
            if time.monotonic() > until:
                raise BackupError(
                    f"redis-server does not listen after {LONGEST_START:.0f} s.", "Look at the host."
                ) from None
            time.sleep(0.05)
        else:
            connection.settimeout(LONGEST_SAVE)
            return


def _wait(server: redis.Command, *facts: str) -> None:
    """Wait until all `facts` stand in INFO persistence. Raises BackupError after an hour."""
    until = time.monotonic() + LONGEST_SAVE
    while not set(facts) <= set(str(server("INFO", "persistence")).split()):
        if time.monotonic() > until:
            raise BackupError(
                f"Redis has not written its data in {LONGEST_SAVE:.0f} s.", "Look at its journal."
            )
        time.sleep(0.1)


def _save(server: redis.Command) -> None:
    """Let an instance write its file in the background. Raises BackupError."""
    server("BGSAVE", "SCHEDULE")
    _wait(server, "rdb_bgsave_in_progress:0", "aof_rewrite_in_progress:0", "aof_rewrite_scheduled:0")
    if "rdb_last_bgsave_status:ok" not in str(server("INFO", "persistence")):
        raise BackupError("Redis could not write its data.", "Look at its journal; its disk may be full.")


def _checked(path: str) -> tuple[int, int]:
    """The keys in an RDB file, and how many of them have a time to live. Raises BackupError."""
    said = processes.run(["redis-check-rdb", path], user=redis.USER)
    keys = re.search(r"\[info\] (\d+) keys read", said)
    expiring = re.search(r"\[info\] (\d+) expires", said)
    if not keys or not expiring or "looks OK" not in said:
        raise BackupError("redis-check-rdb does not say that the file is whole.", "Take another backup.")
    return int(keys[1]), int(expiring[1])


def of(database: Database) -> Redis:
    """The instance of a database."""
    return Redis(database)
