"""Dump and restore one database of PostgreSQL as a role that may do no more than its application.

What an application stored runs when others read it: a view that takes the place of a table while pg_dump
works (CVE-2024-7348), operators and functions on the search_path (CVE-2018-1058), whatever a dump file says.
So superusers never connect to a database of an application: they only make, rename and drop it.
"""

import contextlib
import json
import os
import pwd
import re
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from packhorse_service import passwords, postgresql, state
from packhorse_service.backups import processes
from packhorse_service.backups.names import Names
from packhorse_service.backups.processes import BackupError
from packhorse_service.state import Database

LOCK_WAIT = 300_000
"""Milliseconds to wait for an application that holds a lock on a whole table."""

# Rows of ordinary tables that no extension owns, by their quoted names; counted inside one snapshot.
COUNT = """
SELECT coalesce(json_object_agg(name, (xpath('/row/c/text()', rows))[1]::text::bigint), '{}')
FROM (SELECT format('%I.%I', n.nspname, c.relname) AS name, query_to_xml(
        format('SELECT count(*) AS c FROM ONLY %I.%I', n.nspname, c.relname), false, true, '') AS rows
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind = 'r' AND c.relpersistence <> 't'
        AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                        WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
                          AND d.deptype = 'e')
     ) counted;
"""
FACTS = """
SELECT json_build_object('encoding', pg_encoding_to_char(encoding), 'collate', datcollate, 'ctype', datctype)
FROM pg_database WHERE datname = {database};
"""
UNTRUSTED = """
SELECT coalesce(json_agg(DISTINCT e.extname), '[]') FROM pg_catalog.pg_extension e
JOIN pg_catalog.pg_available_extension_versions v ON v.name = e.extname AND v.version = e.extversion
WHERE v.superuser AND NOT v.trusted;
"""


@dataclass(frozen=True)
class PostgreSQL(Names):
    """The `database` in the cluster that listens on `port`; its owner has the same name.

    `programs`: the folder of the programs of the cluster's own version, which read what they write.
    """

    database: str
    port: int
    programs: str

    def administer(self, sql: str, database: str = "postgres") -> str:
        """Run `sql` as the superuser, in a `database` where applications have created nothing."""
        options = ["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set", "ON_ERROR_STOP=1"]
        command = ["psql", *options, "--port", str(self.port), "--dbname", database]
        return processes.run(command, sql.encode(), user="postgres").strip()

    @contextlib.contextmanager
    def _login(self, end: str = "c") -> Iterator[dict[str, str]]:
        """Open a login that is a member of the owner, and close it again: the environment for its programs.

        `end` of its name: c for backups, s for shells.
        """
        login, password = f"{self.database}__{end}", passwords.new()
        # Servers may log what they are told.
        verifier = postgresql.literal(passwords.scram_verifier(password))
        name = postgresql.identifier(login)
        # What an application makes after SET ROLE NONE belongs to its login.
        owners = [self.database, *(f"{self.database}__{which}" for which in state.LOGINS)]
        self.administer(
            f"SELECT 'CREATE ROLE {name}' WHERE NOT EXISTS"
            f" (SELECT FROM pg_roles WHERE rolname = {postgresql.literal(login)})\n\\gexec\n"
            f"ALTER ROLE {name} LOGIN INHERIT BYPASSRLS CONNECTION LIMIT 8 PASSWORD {verifier};\n"
            f"GRANT {', '.join(map(postgresql.identifier, owners))} TO {name};\n"
        )
        settings = "-c search_path= -c idle_in_transaction_session_timeout=0 -c statement_timeout=0"
        try:
            yield {
                "PGHOST": "127.0.0.1",
                "PGPORT": str(self.port),
                "PGUSER": login,
                "PGPASSWORD": password,
                "PGOPTIONS": f"{settings} -c lock_timeout={LOCK_WAIT}",
                "PGCONNECT_TIMEOUT": "10",
            }
        finally:
            self.administer(f"ALTER ROLE {name} NOLOGIN PASSWORD NULL;")

    def exists(self, name: str) -> bool:
        return bool(self.administer(f"SELECT 1 FROM pg_database WHERE datname = {postgresql.literal(name)};"))

    def version(self) -> str:
        return self.administer("SHOW server_version;").split(" ")[0]

    def facts(self) -> dict[str, str]:
        """Settings that its copy elsewhere needs from the beginning."""
        return dict(json.loads(self.administer(FACTS.format(database=postgresql.literal(self.database)))))

    def dump(self, name: str, write: Callable[[bytes], object]) -> dict[str, int]:
        """Write database `name` as pg_restore reads it; its tables and rows at the same moment."""
        with self._login() as environment, _session(environment, name) as ask:
            ask("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;")
            rows: dict[str, int] = json.loads(ask(COUNT))
            snapshot = ask("SELECT pg_export_snapshot();")
            options = ["--format=custom", f"--snapshot={snapshot}", f"--lock-wait-timeout={LOCK_WAIT}"]
            command = [f"{self.programs}/pg_dump", *options, "--dbname", _conninfo(name)]
            processes.pump(command, write, secrets=environment)
        return rows

    def load(self, path: Path, facts: dict[str, str]) -> tuple[dict[str, int], list[str]]:
        """Fill a new database from the dump `path`: its rows, and what could not be done without harm."""
        entries = self._entries(path)
        self._create(facts, entries)
        with self._login() as environment:
            restore = [
                f"{self.programs}/pg_restore",
                "--no-owner",
                "--role",
                self.database,
                "--dbname",
                _conninfo(self.restored),
            ]
            data, rights = split(entries)
            with path.open("rb") as file, _list(data) as listed:
                command = [*restore, "--no-acl", "--exit-on-error", "--use-list", listed]
                processes.run(command, file, secrets=environment)
            notes = []
            try:
                with path.open("rb") as file, _list(rights) as listed:
                    processes.run([*restore, "--use-list", listed], file, secrets=environment)
            except BackupError as error:  # a role of another cluster, say
                notes.append(f"Not all rights of other roles could be granted again: {error.message}")
            with _session(environment, self.restored) as ask:
                ask("ANALYZE;")
                rows: dict[str, int] = json.loads(ask(COUNT))
        return rows, notes

    def _entries(self, path: Path) -> list[str]:
        with path.open("rb") as file:
            return processes.run([f"{self.programs}/pg_restore", "--list"], file).splitlines()

    def _create(self, facts: dict[str, str], entries: Sequence[str]) -> None:
        """Make the empty database, with extensions that only an administrator could add to the old one."""
        new = postgresql.identifier(self.restored)
        how = [f"OWNER {postgresql.identifier(self.database)}", "TEMPLATE template0"]
        keys = {"encoding": "ENCODING", "collate": "LC_COLLATE", "ctype": "LC_CTYPE"}
        how += [f"{keys[key]} {postgresql.literal(value)}" for key, value in facts.items() if key in keys]
        self.administer(f"DROP DATABASE IF EXISTS {new} WITH (FORCE);")
        self.administer(f"CREATE DATABASE {new} {' '.join(how)};")
        self.administer(f"REVOKE ALL ON DATABASE {new} FROM PUBLIC;")
        names = {line.rsplit(" ", 2)[-2] for line in entries if re.match(r"\d+; \d+ \d+ EXTENSION - ", line)}
        for name in sorted(self._untrusted() & names):
            self.administer(f"CREATE EXTENSION {postgresql.identifier(name)};", self.restored)

    def _untrusted(self) -> set[str]:
        """The extensions of the present database that its owner could not have added."""
        if not self.exists(self.database):
            return set()
        with self._login() as environment, _session(environment, self.database) as ask:
            return set(json.loads(ask(UNTRUSTED)))

    def switch(self) -> str:
        """Let the new database take the place of the other, which stays under another name: that name.

        One transaction: nothing has to be finished.
        """
        now, new, old = map(postgresql.identifier, (self.database, self.restored, self.old))
        both = f"({postgresql.literal(self.database)}, {postgresql.literal(self.restored)})"
        rename = ""
        if self.exists(self.database):  # the application could drop what belonged to it
            rename = (
                f"ALTER DATABASE {now} RENAME TO {old};\nALTER DATABASE {old} OWNER TO postgres;\n"
                f"GRANT CONNECT ON DATABASE {old} TO {now};\n"
            )
        for attempt in range(20):
            try:  # both or none: a transaction; renaming waits for others, and fails while there are any
                self.administer(
                    f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname IN {both};\n"
                    f"BEGIN;\n{rename}ALTER DATABASE {new} RENAME TO {now};\nCOMMIT;\n"
                )
                break
            except BackupError:
                if attempt == 19:
                    raise
        return self.old if rename else ""

    def drop(self, name: str) -> None:
        self.administer(f"DROP DATABASE IF EXISTS {postgresql.identifier(name)} WITH (FORCE);")

    def shell(self, run: Callable[[list[str], dict[str, str]], int]) -> int:
        """psql, as the owner: what is made there belongs to the application. A script ends at an error."""
        with self._login(state.SHELL) as environment:
            options = {"PGOPTIONS": f"-c role={self.database}", "PSQL_HISTORY": "/dev/null"}
            stop = [] if sys.stdin.isatty() else ["--set=ON_ERROR_STOP=1"]
            return run(["psql", *stop, "--dbname", _conninfo(self.database)], {**environment, **options})


def split(entries: Sequence[str]) -> tuple[list[str], list[str]]:
    """The lines of `pg_restore --list` that make objects, and those that grant rights to roles."""
    objects, rights = [], []
    for line in entries:
        found = re.match(r"\d+; \d+ \d+ (DEFAULT ACL|ACL|COMMENT - EXTENSION)\b", line)
        if not found:
            objects.append(line)
        elif found[1].endswith("ACL"):
            rights.append(line)
    return objects, rights


@contextlib.contextmanager
def _list(lines: Sequence[str]) -> Iterator[str]:
    """A file with `lines`, for a program of the other user to read."""
    with tempfile.NamedTemporaryFile("w", dir="/tmp", prefix="packhorse-", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        os.fchown(file.fileno(), pwd.getpwnam(processes.OWN_USER).pw_uid, -1)
        yield file.name


def _conninfo(database: str) -> str:
    """A name that libpq takes for nothing else than a database."""
    escaped = database.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{escaped}'"


@contextlib.contextmanager
def _session(environment: dict[str, str], database: str) -> Iterator[Callable[[str], str]]:
    """A session of psql that stays open; yields a function that runs SQL and returns its last line."""
    options = ["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set", "ON_ERROR_STOP=1"]
    command = ["psql", *options, "--dbname", _conninfo(database)]
    with (
        os.fdopen(os.memfd_create("stderr"), "w+b") as errors,
        processes.start(command, secrets=environment, stdin=subprocess.PIPE, stderr=errors) as process,
        processes.in_time(process, command),
    ):
        assert process.stdin  # noqa: S101  # for mypy: they are pipes
        assert process.stdout  # noqa: S101
        stdin, stdout = process.stdin, process.stdout

        def ask(sql: str) -> str:
            mark = secrets.token_hex(8)
            with contextlib.suppress(BrokenPipeError):
                stdin.write(f"{sql}\n\\echo {mark}\n".encode())
                stdin.flush()
            lines: list[str] = []
            for line in iter(stdout.readline, b""):
                if line.decode("utf-8", "replace").rstrip("\n") == mark:
                    return lines[-1] if lines else ""
                lines.append(line.decode("utf-8", "replace").rstrip("\n"))
            status = process.wait()
            errors.seek(0)
            processes.require(status or 1, command, errors.read())
            raise AssertionError

        try:
            yield ask
        finally:
            with contextlib.suppress(BrokenPipeError):
                stdin.close()


def of(database: Database) -> PostgreSQL:
    """The database of a target."""
    version = database.place.partition("/")[0]
    return PostgreSQL(database.name, database.port, f"/usr/lib/postgresql/{version}/bin")
