"""PostgreSQL: an owner role without a login, two logins that act as it, and who is let in (pg_hba.conf)."""

import functools
import json
from pathlib import Path
from typing import Any

from packhorse_service import network, passwords, programs, state
from packhorse_service.changes import Changes
from packhorse_service.errors import ServiceError
from packhorse_service.state import Database

ETC = Path("/etc/postgresql")
USER = "postgres"  # logs in by its name (peer), without a password
BEGIN = "# BEGIN packhorse: release provision writes these lines, the first that fits counts\n"
END = "# END packhorse\n"
_SETTINGS = "conf.d/packhorse.conf"


def locate(database: Database) -> Database:
    """Find the cluster: where the database is, else that of `version`, else the newest."""
    clusters = [line.split() for line in programs.run(["pg_lsclusters", "--no-header"]).splitlines()]
    known = {f"{each[0]}/{each[1]}": int(each[2]) for each in clusters}
    online = [f"{each[0]}/{each[1]}" for each in clusters if each[3] == "online"]
    place = next((each for each in online if _has(database, known[each])), None)
    if place is None and database.place in known and database.place not in online:
        raise ServiceError(
            f"PostgreSQL {database.place} does not run, and has the database.",
            f"Start it: systemctl start {_unit(database.place)}",
        )
    version = database.version or (place or max(online, default="")).partition("/")[0]
    if place is None:
        fitting = [each for each in online if each.startswith(f"{version}/")]
        place = f"{version}/main" if f"{version}/main" in fitting else next(iter(fitting), None)
    if place is None:
        raise ServiceError(
            f"No PostgreSQL {version} runs on this host: {', '.join(known) or 'none is there'}.",
            "Look: pg_lsclusters; then run `release provision` again.",
        )
    if not place.startswith(f"{version}/"):
        raise ServiceError(
            f"release.toml wants PostgreSQL {version}, and {database.name} is in {place}.",
            f'Move it (pg_upgradecluster), or write there: version = "{place.partition("/")[0]}"',
        )
    return database.with_(place=place, port=known[place])


def apply(database: Database, changes: Changes) -> None:
    """Make roles, database and rules as `database` says. Raises ServiceError."""
    _listen(database, changes)
    _roles(database, changes)
    _database(database, changes)
    _reassign(database, changes)
    _let_in(database, changes)


def url(database: Database, which: str) -> str:
    """By TLS: the server is asked for it, and its certificate is the host's own."""
    place = f"{network.in_url(database.host)}:{database.port}/{database.name}"
    return f"postgresql://{database.login(which)}:{database.passwords[which]}@{place}?sslmode=require"


def disconnect(database: Database, which: str) -> int:
    """End the connections of a closed login."""
    return int(
        query(
            database.port,
            "SELECT to_json(count(pg_terminate_backend(pid, 10000))) FROM pg_stat_activity"
            f" WHERE usename = {literal(database.login(which))}",
        )
    )


def describe(database: Database) -> dict[str, Any]:
    """Version and size."""
    name = literal(database.name)
    answer = query(
        database.port,
        f"SELECT json_build_object('version', current_setting('server_version'),"
        f" 'size', (SELECT pg_database_size(oid) FROM pg_database WHERE datname = {name}))",
    )
    return {"version": str(answer["version"]).partition(" ")[0], "size": answer["size"]}


def remove(database: Database, changes: Changes) -> None:
    """Remove database and roles, and the lines that let its logins in; connections to it end."""
    text = removal(database)
    changes.do(f"removes the database {database.name}", lambda: sql(database.port, text))
    _let_in(database.with_(clients=()), changes, keep=False)


def removal(database: Database) -> str:
    """The statements that remove all that there is of a database, also what restores have left.

    What administrators have granted to its roles elsewhere would keep these, and is revoked.
    """
    names = [f"{database.name}{end}" for end in ("", *state.RESTORES)]
    roles = [database.name, *(f"{database.name}__{end}" for end in (*state.LOGINS, *"cs"))]
    drops = [f"DROP DATABASE IF EXISTS {identifier(name)} WITH (FORCE);" for name in names]
    known = f"FROM pg_roles WHERE rolname IN ({', '.join(map(literal, roles))})"
    owned = f"SELECT format('DROP OWNED BY %I', rolname) {known}"
    return "\n".join(
        [*drops, f"{owned}\n\\gexec", f"DROP ROLE IF EXISTS {', '.join(map(identifier, roles))};\n"]
    )


def sql(port: int, text: str, database: str = "postgres") -> str:
    """Run statements as the administrator, given on standard input; what they print. Raises ServiceError."""
    command = ["psql", "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--no-password"]
    command += [
        "--set=ON_ERROR_STOP=1",
        f"--port={port}",
        "--host=/var/run/postgresql",
        f"--dbname={database}",
    ]
    return programs.run(command, text=text, user=USER)


def query(port: int, text: str) -> Any:  # noqa: ANN401  # JSON
    """The one value, JSON, of a query; None for NULL."""
    return json.loads(sql(port, f"{text};\n").strip() or "null")


def identifier(name: str) -> str:
    """`name` as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """`text` as SQL has it, whatever standard_conforming_strings says."""
    return ("E" if "\\" in text else "") + "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _unit(place: str) -> str:
    return f"postgresql@{place.replace('/', '-')}"


def _has(database: Database, port: int) -> bool:
    name = literal(database.name)
    return bool(query(port, f"SELECT to_json(count(*)) FROM pg_database WHERE datname = {name}"))


def _roles(database: Database, changes: Changes) -> None:
    names = [database.name, *map(database.login, state.LOGINS)]
    rows = query(
        database.port,
        "SELECT coalesce(json_object_agg(r.rolname, json_build_object("
        "'login', r.rolcanlogin, 'password', r.rolpassword, 'member', pg_has_role(r.oid, o.oid, 'MEMBER'),"
        " 'settings', (SELECT setconfig FROM pg_db_role_setting WHERE setrole = r.oid AND setdatabase = 0)"
        f")), '{{}}') FROM pg_authid r LEFT JOIN pg_authid o ON o.rolname = {literal(database.name)}"
        f" WHERE r.rolname IN ({', '.join(map(literal, names))})",
    )
    owner = identifier(database.name)
    if database.name not in rows:
        make = f"CREATE ROLE {owner} NOLOGIN"
        changes.do(f"makes the role {database.name}", lambda: sql(database.port, make))
    for which in state.LOGINS:
        _login(database, which, rows.get(database.login(which)), changes)


def _login(database: Database, which: str, row: dict[str, Any] | None, changes: Changes) -> None:
    """Open or close a login. What it makes belongs to the owner, as it acts as that (SET role)."""
    name, owner, password = database.login(which), database.name, database.passwords.get(which)
    login, port = identifier(name), database.port
    if row is None:
        make = f"CREATE ROLE {login} NOLOGIN IN ROLE {identifier(owner)}"
        changes.do(f"makes the role {name}", lambda: sql(port, make))
    elif not row["member"]:
        grant = f"GRANT {identifier(owner)} TO {login}"
        changes.do(f"makes {name} a member of {owner}", lambda: sql(port, grant))
    if row is None or f"role={owner}" not in (row["settings"] or []):
        act = f"ALTER ROLE {login} SET role = {literal(owner)}"
        changes.do(f"lets {name} act as {owner}", lambda: sql(port, act))
    stored, is_open = (row["password"], row["login"]) if row else (None, False)
    if password and not (is_open and stored and passwords.is_scram_verifier(password, stored)):
        verifier = literal(passwords.scram_verifier(password))
        changes.do(f"opens {name}", lambda: sql(port, f"ALTER ROLE {login} LOGIN PASSWORD {verifier}"))
    if not password and (is_open or stored):
        changes.do(f"closes {name}", lambda: sql(port, f"ALTER ROLE {login} NOLOGIN PASSWORD NULL"))


def _database(database: Database, changes: Changes) -> None:
    name = literal(database.name)
    row = query(
        database.port,
        "SELECT json_build_object('encoding', (SELECT pg_encoding_to_char(encoding) FROM pg_database"
        " WHERE datname = 'template1'), 'owner', (SELECT pg_get_userbyid(datdba) FROM pg_database"
        f" WHERE datname = {name}), 'public', (SELECT has_database_privilege('public', oid, 'CONNECT')"
        f" FROM pg_database WHERE datname = {name}))",
    )
    if row["owner"] not in (None, database.name):
        raise ServiceError(
            f"There is a database {database.name} already, which belongs to {row['owner']}.",
            f'If it is this one: ALTER DATABASE "{database.name}" OWNER TO "{database.name}"',
        )
    quoted = identifier(database.name)
    if row["owner"] is None:
        # A cluster that was made without a locale has SQL_ASCII, which no application expects.
        locale = "" if row["encoding"] == "UTF8" else " ENCODING 'UTF8' LOCALE 'C.UTF-8'"
        make = f"CREATE DATABASE {quoted} OWNER {quoted} TEMPLATE template0{locale}"
        changes.do(f"makes the database {database.name}", lambda: sql(database.port, make))
    if row["public"] is not False:
        close = f"REVOKE ALL ON DATABASE {quoted} FROM PUBLIC"
        changes.do(f"closes {database.name} to other roles", lambda: sql(database.port, close))


def _reassign(database: Database, changes: Changes) -> None:
    """Give to the owner what logins have made after SET ROLE NONE: the next login could not change it.

    This alone runs as the administrator in the database of an application: it changes catalogs, and runs
    nothing that the application has stored there.
    """
    name, logins = literal(database.name), [database.login(end) for end in (*state.LOGINS, state.SHELL)]
    roles = query(
        database.port,
        "SELECT coalesce(json_agg(DISTINCT r.rolname), '[]') FROM pg_shdepend d JOIN pg_roles r"
        " ON d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid AND d.deptype = 'o'"
        f" WHERE d.dbid = (SELECT oid FROM pg_database WHERE datname = {name})"
        f" AND r.rolname IN ({', '.join(map(literal, logins))})",
    )
    for role in roles:
        give = (
            "SET default_transaction_read_only = off;\nSET lock_timeout = '10s';\n"
            f"REASSIGN OWNED BY {identifier(role)} TO {identifier(database.name)};\n"
        )
        text = f"gives what {role} has made to {database.name}"
        changes.do(text, functools.partial(sql, database.port, give, database.name))


def _let_in(database: Database, changes: Changes, *, keep: bool = True) -> None:
    """Write our block of pg_hba.conf, first in it, with the lines of all databases of the cluster."""
    file = ETC / database.place / "pg_hba.conf"
    text = programs.run(
        ["head", "--bytes=1000000", "--", str(file)], user=USER
    )  # root would follow a link of that user
    others = [each for each in state.every("postgresql") if each.name != database.name]
    block = rules([*[each for each in others if each.place == database.place], *([database] if keep else [])])
    new = with_block(text, block)
    if new != text:
        clients = ", ".join(database.clients) or "nobody"
        changes.do(f"lets {clients} in to {database.name} (pg_hba.conf)", lambda: _replace(file, new))
    loaded = query(
        database.port,
        "SELECT to_json(pg_conf_load_time() > (pg_stat_file(current_setting('hba_file'))).modification)",
    )
    if not loaded:
        changes.do(f"loads {file}", lambda: _load(database.port, file))


def rules(databases: list[Database]) -> str:
    """The lines of pg_hba.conf: logins come from their hosts by TLS, and by no other way."""
    lines = []
    for each in sorted(databases, key=lambda each: each.name):
        logins = ",".join(identifier(each.login(which)) for which in state.LOGINS)
        for client in each.clients:
            place = network.network(client)
            lines.append(f"hostssl {identifier(each.name)} {logins} {place} scram-sha-256\n")
        lines += [f"local all {logins} reject\n", f"host all {logins} all reject\n"]
    return "".join(lines)


def with_block(text: str, block: str) -> str:
    """`text` with our block at its top; without one where there are no lines."""
    before, begin, rest = text.partition(BEGIN)
    if begin:
        text = before + rest.partition(END)[2]
    return f"{BEGIN}{block}{END}{text}" if block else text


def _listen(database: Database, changes: Changes) -> None:
    """Let the server listen where clients are, besides where administrators have it listen."""
    port, place = database.port, database.place
    every = [*[each for each in state.every("postgresql") if each.place == place], database]
    ours = network.wanted(address for each in every for address in each.listen)
    file = ETC / place / _SETTINGS
    rows = query(
        port,
        "SELECT coalesce(json_agg(json_build_array(sourcefile, setting) ORDER BY seqno), '[]')"
        " FROM pg_file_settings WHERE name = 'listen_addresses'",
    )
    present = next((setting for source, setting in rows if source == str(file)), None)
    theirs = next((setting for source, setting in reversed(rows) if source != str(file)), "localhost")
    theirs = [each.strip() for each in theirs.split(",")]
    wanted = ["*"] if ours is None or "*" in theirs else list(dict.fromkeys([*theirs, *ours]))
    setting = ", ".join(wanted)
    text = f"# release provision writes this file.\nlisten_addresses = '{setting}'\n"
    if setting not in (present, ", ".join(theirs)):
        changes.do(f"lets PostgreSQL {place} listen at {setting}", lambda: _replace(file, text))
    running = query(port, "SELECT to_json(current_setting('listen_addresses'))").split(",")
    if changes.check or "*" in running or set(wanted) <= {each.strip() for each in running}:
        return
    if _is_unused(database):
        changes.do(f"restarts PostgreSQL {place}, which is empty yet", lambda: _restart(place))
    else:
        changes.restart = (
            f"PostgreSQL {place} listens at {', '.join(running)} until a restart, which ends connections: "
            f"systemctl restart {_unit(place)}"
        )


def _is_unused(database: Database) -> bool:
    return bool(
        query(
            database.port,
            "SELECT to_json(NOT EXISTS"
            " (SELECT 1 FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres')"
            " AND NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE backend_type = 'client backend'"
            " AND pid <> pg_backend_pid()))",
        )
    )


def _restart(place: str) -> None:
    programs.run(["systemctl", "restart", _unit(place)])


def _load(port: int, file: Path) -> None:
    sql(port, "SELECT pg_reload_conf()")
    if wrong := query(port, "SELECT to_json(min(error)) FROM pg_hba_file_rules"):
        raise ServiceError(f"{file} has an error: {wrong:.200}", "Correct it; then: release provision")


def _replace(file: Path, text: str) -> None:
    """Write a file of the cluster's configuration as its owner, whose folder it is."""
    program = (
        "import os, sys; p = sys.argv[1]; s = p + '.packhorse'; "
        "d = os.open(s, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o640); "
        "f = open(d, 'wb'); f.write(sys.stdin.buffer.read()); f.flush(); os.fsync(d); os.replace(s, p)"
    )
    programs.run(["/usr/bin/python3", "-I", "-c", program, str(file)], text=text, user=USER)
