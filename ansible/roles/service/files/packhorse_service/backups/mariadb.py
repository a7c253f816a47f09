"""Dump and restore one database of MariaDB as an account that may do no more than its application.

A dump is text for the client, which runs commands of the machine that it names (`\\!`): the client loads it
in its sandbox, as a user that owns nothing. The accounts at localhost have rights on this database alone.
"""

import contextlib
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from packhorse_service import mariadb, passwords, state
from packhorse_service.backups import processes, progress
from packhorse_service.backups.names import Names
from packhorse_service.backups.processes import BackupError
from packhorse_service.state import Database

STATE = Path("/var/lib/packhorse-service-backup")
DUMP = ["--single-transaction", "--quick", "--hex-blob", "--no-autocommit", "--no-tablespaces"]
DUMP += ["--default-character-set=utf8mb4"]
OBJECTS = ["--routines", "--events", "--triggers"]
# Definers of views, triggers, routines and events: to name another one than oneself is a right over all
# databases. They stand on lines of their own, in which no value of a row can be: its newlines are escaped.
_DEFINER = re.compile(
    rb"^(/\*!50003 CREATE\*/ |/\*!50106 CREATE\*/ |CREATE |/\*!50013 )"
    rb"(?:/\*!50017 |/\*!50117 )?DEFINER=`(?:[^`]|``)*`@`(?:[^`]|``)*`(?: ?\*/(?! *\n))? *"
)

_TABLE = re.compile(rb"(CREATE TABLE|INSERT INTO) `((?:[^`]|``)+)` (?:\(|VALUES)")


def without_definer(line: bytes) -> bytes:
    """`line` of a dump, in which who loads it becomes the definer."""
    found = _DEFINER.match(line)
    return found[1] + line[found.end() :] if found else line


@dataclass(frozen=True)
class Client:
    """An account at localhost, for the programs of MariaDB."""

    name: str
    environment: dict[str, str]

    def command(self, program: str, *options: str) -> list[str]:
        """The argument list of `program`, which finds the password in `environment`."""
        return [program, "--no-defaults", "--protocol=socket", f"--user={self.name}", *options]


@dataclass(frozen=True)
class MariaDB(Names):
    """The `database` of the server of this host."""

    database: str

    @property
    def _folder(self) -> Path:
        return STATE / self.database

    def administer(self, sql: str) -> str:
        """Run `sql` as root, who is known by the socket; in no database."""
        command = ["mariadb", "--no-defaults", "--protocol=socket", "--batch", "--raw", "--skip-column-names"]
        return processes.run([*command, "--user=root"], sql.encode(), user="root").strip("\n")

    @contextlib.contextmanager
    def _reader(self) -> Iterator[Client]:
        """An account that dumps, and is gone afterwards: it reads the text of all databases' routines."""
        name = f"{self.database}__c"
        try:
            yield self._open(name, [f"GRANT SELECT ON mysql.proc TO {mariadb.literal(name)}@'localhost';"])
        finally:
            self.administer(f"DROP USER IF EXISTS {mariadb.literal(name)}@'localhost';")

    @contextlib.contextmanager
    def _writer(self, end: str = "d") -> Iterator[Client]:
        """An account that restores. It stays, locked: it is the definer of views, triggers and routines.

        `end` of its name: d for restores, s for shells.
        """
        name = f"{self.database}__{end}"
        try:
            yield self._open(name, [])
        finally:
            self.administer(f"ALTER USER {mariadb.literal(name)}@'localhost' ACCOUNT LOCK;")

    def _open(self, name: str, grants: Sequence[str]) -> Client:
        """Let account `name` in, with all rights on the databases that this one has, and with `grants`."""
        account, password = f"{mariadb.literal(name)}@'localhost'", passwords.new()
        hashed = passwords.native_hash(password)  # servers may log what they are told
        patterns = [
            mariadb.identifier(each).replace("_", r"\_") for each in (self.database, self.restored, self.old)
        ]
        rights = [f"GRANT ALL ON {pattern}.* TO {account};" for pattern in patterns]
        self.administer(
            f"CREATE USER IF NOT EXISTS {account} ACCOUNT LOCK;\n"
            f"ALTER USER {account} IDENTIFIED BY PASSWORD '{hashed}' ACCOUNT UNLOCK;\n"
            + "\n".join([*grants, *rights])
        )
        return Client(name, {"MYSQL_PWD": password})

    def exists(self, name: str) -> bool:
        found = f"SELECT 1 FROM information_schema.schemata WHERE schema_name = {mariadb.literal(name)};"
        return bool(self.administer(found))

    def version(self) -> str:
        return self.administer("SELECT version();").split("-")[0]

    def facts(self) -> dict[str, str]:
        """Settings that its copy elsewhere needs from the beginning."""
        answer = self.administer(
            "SELECT default_character_set_name, default_collation_name FROM information_schema.schemata"
            f" WHERE schema_name = {mariadb.literal(self.database)};"
        )
        return dict(zip(("charset", "collation"), answer.split("\t"), strict=False))

    def tables(self, name: str) -> list[tuple[str, str]]:
        """Tables, views and sequences of database `name`, with what they are."""
        answer = self.administer(
            "SELECT concat(table_type, '\\t', hex(table_name)) FROM information_schema.tables"
            f" WHERE table_schema = {mariadb.literal(name)} ORDER BY table_name;"
        )
        rows = [line.split("\t") for line in answer.splitlines()]
        return [(bytes.fromhex(text).decode(), kind) for kind, text in rows]

    def _with_rows(self, name: str) -> list[str]:
        return [table for table, kind in self.tables(name) if kind not in {"VIEW", "SEQUENCE"}]

    def _without_broken_views(self, name: str) -> list[str]:
        """The options that leave out the views of what is not there any more: any of them ends a dump."""
        views = self.administer(
            "SELECT hex(table_name) FROM information_schema.tables WHERE table_type = 'VIEW' AND"
            " table_rows IS NULL AND table_comment LIKE 'View %references invalid%' AND"  # rows: it is opened
            f" table_schema = {mariadb.literal(name)};"
        )
        names = [bytes.fromhex(each).decode() for each in views.splitlines()]
        if names:
            progress.say(f"Left out, as what they show is not there: {', '.join(names)}")
        return [f"--ignore-table={name}.{each}" for each in names]

    def dump(self, name: str, write: Callable[[bytes], object]) -> dict[str, int]:
        """Write database `name` as SQL, of one moment; the rows of each table, as they are written."""
        counter = Counter()

        def both(data: bytes) -> None:
            counter.feed(data)
            write(data)

        with self._reader() as client:
            # rows that have an INSERT each can be counted
            options = [*OBJECTS, "--skip-extended-insert", *self._without_broken_views(name)]
            command = client.command("mariadb-dump", *DUMP, *options, name)
            processes.pump(command, both, secrets=client.environment)
        if not counter.complete:
            raise BackupError("mariadb-dump ended before its last line.")
        return counter.rows

    def load(self, path: Path, facts: dict[str, str]) -> tuple[dict[str, int], list[str]]:
        """Fill a new database from the dump `path`, and return its rows."""
        new, words = mariadb.identifier(self.restored), {"charset": "CHARACTER SET", "collation": "COLLATE"}
        how = [f"{words[key]} {value}" for key, value in facts.items()
               if key in words and re.fullmatch(r"\w+", value, re.ASCII)]  # fmt: skip
        self.administer(f"DROP DATABASE IF EXISTS {new};\nCREATE DATABASE {new} {' '.join(how)};")
        with self._writer() as client, path.open("rb") as file:
            _feed(client, self.restored, file)
            tables = self._with_rows(self.restored)
            counts = "".join(f"SELECT count(*) FROM {new}.{mariadb.identifier(table)};\n" for table in tables)
            command = client.command("mariadb", "--batch", "--skip-column-names")
            answer = processes.run(command, counts.encode(), secrets=client.environment)
        return dict(zip(tables, map(int, answer.split()), strict=True)), []

    def switch(self) -> str:
        """Let the new database take the place of the other: tables in one step, all else right after.

        Nobody else is in it meanwhile. `state.switching` says which step comes next: save, move or open. What
        fails before `move` is undone.
        """
        file = state.switching(self.database)
        begun = json.loads(file.read_text()) if file.exists() else {}
        step, accounts = begun.get("step", "save"), begun.get("accounts", self._open_accounts())

        def note() -> None:
            state.write(file, json.dumps({"step": step, "accounts": accounts}) + "\n", 0o600)

        note()
        try:
            if step != "open":
                self._lock_out(accounts)
            if step == "save":
                self._save_objects()
                step = "move"
                note()
            if step == "move":
                self._move()
                step = "open"
                note()
        finally:
            if step != "move":
                self.administer("".join(f"ALTER USER {account} ACCOUNT UNLOCK;\n" for account in accounts))
                file.unlink()
        return self.old

    def _move(self) -> None:
        """Rename all tables, and make the other objects of both databases again from their files."""
        self._drop_objects()
        self._rename()
        with self._writer() as writer:
            for name in (self.database, self.old):
                with (self._folder / name).open("rb") as file:
                    _feed(writer, name, file)
        self.drop(self.restored)

    def _save_objects(self) -> None:
        """Write views, triggers, routines and events of both databases to files."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._reader() as client:
            for source, place in ((self.restored, self.database), (self.database, self.old)):
                path = self._folder / place
                with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                    ignored = self._without_broken_views(source)
                    found = [table for table, kind in self.tables(source) if kind == "VIEW"]
                    views = [each for each in found if f"--ignore-table={source}.{each}" not in ignored]
                    if views:
                        what = ["--skip-triggers", "--no-data", "--", source, *views]
                        command = client.command("mariadb-dump", *DUMP, *what)
                        processes.pump(command, file.write, secrets=client.environment)
                    what = ["--no-create-info", "--no-data", *OBJECTS, *ignored, source]
                    command = client.command("mariadb-dump", *DUMP, *what)
                    processes.pump(command, file.write, secrets=client.environment)
                    os.fsync(file.fileno())

    def _drop_objects(self) -> None:
        """Remove what does not move with a table, or keeps it from moving."""
        questions = {
            "TRIGGER": "trigger_name) FROM information_schema.triggers WHERE trigger_schema",
            "VIEW": "table_name) FROM information_schema.views WHERE table_schema",
            "EVENT": "event_name) FROM information_schema.events WHERE event_schema",
            "FUNCTION": "routine_name) FROM information_schema.routines WHERE routine_type = 'FUNCTION'"
            " AND routine_schema",
            "PROCEDURE": "routine_name) FROM information_schema.routines WHERE routine_type = 'PROCEDURE'"
            " AND routine_schema",
        }
        for name in (self.database, self.restored, self.old):  # a run that was killed had made some again
            for kind, question in questions.items():
                for text in self.administer(f"SELECT hex({question} = {mariadb.literal(name)};").splitlines():
                    what = mariadb.identifier(bytes.fromhex(text).decode())
                    self.administer(f"DROP {kind} IF EXISTS {mariadb.identifier(name)}.{what};")

    def _rename(self) -> None:
        """Move all tables of both databases in one statement, which is done as a whole or not at all."""
        if not self.exists(self.restored):
            return  # a run that was killed had come that far
        facts, old = self.facts(), mariadb.identifier(self.old)
        self.administer(f"CREATE DATABASE IF NOT EXISTS {old} CHARACTER SET {facts['charset']};")
        moves = [
            "{0}.{2} TO {1}.{2}".format(*map(mariadb.identifier, (source, to, table)))
            for source, to in ((self.database, self.old), (self.restored, self.database))
            for table, kind in self.tables(source)
            if kind != "VIEW"
        ]
        begun = any(move.startswith(mariadb.identifier(self.restored)) for move in moves)
        if moves and (begun or not self.tables(self.old)):
            self.administer(f"SET SESSION foreign_key_checks = 0;\nRENAME TABLE {', '.join(moves)};")

    def _open_accounts(self) -> list[str]:
        """The accounts of the application that may log in, as SQL has them."""
        return self.administer(
            "SELECT concat(quote(user), '@', quote(host)) FROM mysql.global_priv WHERE user IN "
            f"{self._logins} AND coalesce(json_value(priv, '$.account_locked'), 0) <> 1;"
        ).splitlines()

    @property
    def _logins(self) -> str:
        return f"({mariadb.literal(self.database + '__a')}, {mariadb.literal(self.database + '__b')})"

    def _lock_out(self, accounts: Sequence[str]) -> None:
        """Lock `accounts`, and end what the logins of the application still do."""
        self.administer("".join(f"ALTER USER {account} ACCOUNT LOCK;\n" for account in accounts))
        for number in self.administer(
            f"SELECT id FROM information_schema.processlist WHERE user IN {self._logins};"
        ).splitlines():
            with contextlib.suppress(BackupError):  # it has ended by itself
                self.administer(f"KILL {int(number)};")

    def drop(self, name: str) -> None:
        self.administer(f"DROP DATABASE IF EXISTS {mariadb.identifier(name)};")

    def shell(self, run: Callable[[list[str], dict[str, str]], int]) -> int:
        """The client `mariadb`, with rights on this database alone."""
        with self._writer(state.SHELL) as client:
            environment = {**client.environment, "MYSQL_HISTFILE": "/dev/null"}
            return run(client.command("mariadb", self.database), environment)


def _feed(client: Client, name: str, lines: IO[bytes]) -> None:
    """Let the client run the lines of a dump in database `name`."""
    command = client.command("mariadb", "--sandbox", "--batch", "--default-character-set=utf8mb4", name)
    with (
        tempfile.TemporaryFile() as errors,
        processes.start(
            command,
            secrets=client.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        ) as process,
        processes.in_time(process, command),
    ):
        assert process.stdin  # noqa: S101  # for mypy: it is a pipe
        with contextlib.suppress(BrokenPipeError), process.stdin as stdin:
            for line in lines:
                stdin.write(without_definer(line))
        status = process.wait()
        errors.seek(0)
        processes.require(status, command, errors.read())


class Counter:
    """Count rows, by table, in the lines of a dump that has one row in each INSERT.

    Bodies of triggers, routines and events, which may have such lines, stand between two DELIMITERs.
    """

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}
        self.rest = b""
        self.complete = False
        self._in_body = False

    def feed(self, data: bytes) -> None:
        """Take the next piece of the dump."""
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            self.complete = line.startswith(b"-- Dump completed")
            if line.startswith(b"DELIMITER "):
                self._in_body = line != b"DELIMITER ;"
            elif not self._in_body and (found := _TABLE.match(line)):
                table = found[2].decode("utf-8", "replace").replace("``", "`")
                self.rows[table] = self.rows.get(table, 0) + (found[1] == b"INSERT INTO")


def of(database: Database) -> MariaDB:
    """The database of a target."""
    return MariaDB(database.name)
