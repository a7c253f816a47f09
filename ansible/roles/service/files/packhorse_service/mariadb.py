"""MariaDB: two logins for a database, each from the addresses of its hosts, by TLS from other hosts."""

import functools
import grp
import json
import time
from pathlib import Path
from typing import Any

from packhorse_service import network, passwords, programs, state
from packhorse_service.changes import Changes
from packhorse_service.errors import ServiceError
from packhorse_service.state import Database

CONFIGURATION = Path("/etc/mysql/mariadb.conf.d/60-packhorse.cnf")
USER = "mysql"
PORT = 3306
_UNIT = "mariadb"
_KEYS = "ssl-cert"  # Debian's package and group of the host's own certificate
_TLS = (
    "ssl_cert = /etc/ssl/certs/ssl-cert-snakeoil.pem",
    "ssl_key = /etc/ssl/private/ssl-cert-snakeoil.key",
)
_LOOPBACK = "127.0.0.1"
_SYSTEM = ("mysql", "sys", "performance_schema", "information_schema")


def locate(database: Database) -> Database:
    """The port that the server listens at. Raises ServiceError."""
    found = query("SELECT JSON_OBJECT('version', version(), 'port', @@port)")
    if database.version and not found["version"].startswith(f"{database.version}."):
        series = ".".join(found["version"].split(".")[:2])
        raise ServiceError(
            f"This host has MariaDB {found['version']}, and release.toml wants {database.version}.",
            f'Write there: version = "{series}"',
        )
    return database.with_(port=found["port"], place=_UNIT)


def apply(database: Database, changes: Changes) -> None:
    """Make logins and database as `database` says. Raises ServiceError."""
    _listen(database, changes)
    _database(database, changes)
    _logins(database, changes)


def url(database: Database, which: str) -> str:
    """By TLS from another host: ssl_mode as mysqlclient has it, which does not look at the certificate."""
    place = f"{network.in_url(database.host)}:{database.port}/{database.name}"
    tls = "" if database.host == _LOOPBACK else "?ssl_mode=REQUIRED"
    return f"mysql://{database.login(which)}:{database.passwords[which]}@{place}{tls}"


def disconnect(database: Database, which: str) -> int:
    """End the connections of a closed login."""
    name = literal(database.login(which))
    there = f"SELECT COUNT(*) FROM information_schema.processlist WHERE user = {name}"
    found = int(query(there))
    if found:
        sql(f"KILL CONNECTION USER {name};\n")
    until = time.monotonic() + 10
    while query(there) and time.monotonic() < until:  # KILL does not wait for what commits just now
        time.sleep(0.1)
    return found


def describe(database: Database) -> dict[str, Any]:
    """Version and size."""
    found: dict[str, Any] = query(
        "SELECT JSON_OBJECT('version', version(), 'size',"
        " (SELECT COALESCE(SUM(data_length + index_length), 0)"
        f" FROM information_schema.tables WHERE table_schema = {literal(database.name)}))"
    )
    return {"version": found["version"].partition("-")[0], "size": int(found["size"])}


def remove(database: Database, changes: Changes) -> None:
    """Remove the database with what restores have left, and its logins."""
    name = database.name
    drops = [f"DROP DATABASE IF EXISTS {identifier(f'{name}{end}')};\n" for end in ("", *state.RESTORES)]
    changes.do(f"removes the database {name}", lambda: sql("".join(drops)))
    own = [(f"{name}__{end}", "localhost") for end in "cds"]  # those of backups, restores and shells
    for user, host in [*_accounts(database), *own]:
        drop = f"DROP USER IF EXISTS {literal(user)}@{literal(host)};\n"
        changes.do(f"removes {user} from {host}", functools.partial(sql, drop))


def sql(text: str) -> str:
    """Run statements as root (unix_socket), given on standard input; what they print. Raises ServiceError."""
    command = ["mariadb", "--batch", "--raw", "--skip-column-names", "--default-character-set=utf8mb4"]
    return programs.run(command, text=text)


def query(text: str) -> Any:  # noqa: ANN401  # JSON
    """The one value, JSON, of a query."""
    return json.loads(sql(f"{text};\n"))


def identifier(name: str) -> str:
    """`name` as SQL has it."""
    return "`" + name.replace("`", "``") + "`"


def literal(text: str) -> str:
    """`text` as SQL has it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _database(database: Database, changes: Changes) -> None:
    name = literal(database.name)
    if not query(f"SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = {name}"):
        make = f"CREATE DATABASE {identifier(database.name)} CHARACTER SET utf8mb4;\n"
        changes.do(f"makes the database {database.name}", lambda: sql(make))


def _accounts(database: Database) -> dict[tuple[str, str], dict[str, Any]]:
    """The accounts of our logins, (user, host) -> what the server knows of them."""
    names = ", ".join(literal(database.login(which)) for which in state.LOGINS)
    pattern = literal(_pattern(database))
    rows = query(
        "SELECT COALESCE(JSON_ARRAYAGG("
        "JSON_ARRAY(p.User, p.Host, JSON_COMPACT(p.Priv), d.Drop_priv = 'Y')), '[]')"
        " FROM mysql.global_priv p LEFT JOIN mysql.db d"
        f" ON d.User = p.User AND d.Host = p.Host AND d.Db = {pattern} WHERE p.User IN ({names})"
    )
    return {
        (user, host): {**(json.loads(about) if isinstance(about, str) else about), "granted": bool(granted)}
        for user, host, about, granted in rows
    }


def _logins(database: Database, changes: Changes) -> None:
    """Open and close accounts; closed ones stay, as views and triggers run as who has made them."""
    found = _accounts(database)
    wanted = {(database.login(which), host) for which in state.LOGINS for host in database.clients}
    for user, host in sorted(wanted | set(found)):
        which = user.rpartition("__")[2]
        password = database.passwords.get(which) if host in database.clients else None
        _account(database, (user, host), password, found.get((user, host)), changes)


def _account(
    database: Database,
    account: tuple[str, str],
    password: str | None,
    row: dict[str, Any] | None,
    changes: Changes,
) -> None:
    user, host = account
    name = f"{literal(user)}@{literal(host)}"
    if row is None:
        # Locked from its first moment: the statement after it opens it.
        make = f"CREATE USER {name} REQUIRE {_tls(host)} ACCOUNT LOCK;\n"
        changes.do(f"makes {user} from {host}", lambda: sql(make))
    if row is None or not row["granted"]:
        pattern = identifier(_pattern(database))
        grant = f"GRANT ALL PRIVILEGES ON {pattern}.* TO {name};\n"
        changes.do(f"gives {database.name} to {user} from {host}", lambda: sql(grant))
    is_open = row is not None and not row.get("account_locked")
    hashed = passwords.native_hash(password) if password else ""
    if password and not (is_open and row and row.get("authentication_string") == hashed):
        set_ = f"ALTER USER {name} IDENTIFIED BY PASSWORD '{hashed}' REQUIRE {_tls(host)} ACCOUNT UNLOCK;\n"
        changes.do(f"opens {user} from {host}", lambda: sql(set_))
    if not password and is_open:
        close = f"ALTER USER {name} IDENTIFIED VIA mysql_native_password USING 'invalid' ACCOUNT LOCK;\n"
        changes.do(f"closes {user} from {host}", lambda: sql(close))


def _tls(host: str) -> str:
    return "NONE" if host == _LOOPBACK else "SSL"


def _pattern(database: Database) -> str:
    """The database in a GRANT, where "_" stands for any character unless it is escaped."""
    return database.name.replace("_", "\\_")


def _listen(database: Database, changes: Changes) -> None:
    """Let the server speak TLS and listen where clients are, besides where administrators have it listen."""
    every = [*state.every("mariadb"), database]
    ours = network.wanted(address for each in every for address in each.listen)
    present = CONFIGURATION.read_text() if CONFIGURATION.exists() else ""
    bind, tls = wanted_settings(_defaults(), present, ours, needs_tls=any(each.listen for each in every))
    lines = [*([f"bind-address = {bind}"] if bind else []), *(_TLS if tls else ())]
    text = "".join(f"{line}\n" for line in ["# release provision writes this file.", "[mysqld]", *lines])
    if lines and text != present:
        changes.do(f"writes {CONFIGURATION}", lambda: state.write(CONFIGURATION, text, 0o644))
    if tls and USER not in grp.getgrnam(_KEYS).gr_mem:
        join = ["usermod", "--append", "--groups", _KEYS, USER]
        changes.do(f"lets {USER} read the key of the host's certificate", lambda: programs.run(join))
    if changes.check or _is_running_as(bind, tls=tls):
        return
    if _is_unused():
        changes.do(
            "restarts MariaDB, which is empty yet", lambda: programs.run(["systemctl", "restart", _UNIT])
        )
        if not _is_running_as(bind, tls=tls):
            raise ServiceError(
                "MariaDB does not listen as it should: another file says otherwise.",
                f"Find it: grep -rnE 'bind.address|ssl' /etc/mysql; ours is {CONFIGURATION}",
            )
    else:
        changes.restart = (
            "MariaDB uses the new settings of its network when it restarts, which ends connections: "
            f"systemctl restart {_UNIT}"
        )


def wanted_settings(
    defaults: list[str], present: str, ours: list[str] | None, *, needs_tls: bool
) -> tuple[str, bool]:
    """Settings for our file: bind-address ("": nothing), and whether TLS.

    `defaults`: the options that the server starts with, as my_print_defaults has them, with those of our
    file, which is `present`.
    """
    lines = [line.replace(" ", "") for line in present.splitlines()]
    theirs = [each for each in defaults if each.removeprefix("--") not in lines]
    binds = [
        each.partition("=")[2] for each in theirs if each.startswith(("--bind-address=", "--bind_address="))
    ]
    tls = needs_tls and not any(each.startswith(("--ssl-cert=", "--ssl_cert=")) for each in theirs)
    everywhere = not binds or binds[-1] in ("*", "0.0.0.0", "::")  # noqa: S104  # what is there
    if everywhere or not (ours is None or ours):
        return "", tls
    return "*" if ours is None else ",".join(dict.fromkeys([*binds[-1].split(","), *ours])), tls


def _defaults() -> list[str]:
    return programs.run(["my_print_defaults", "--mysqld"]).splitlines()


def _is_running_as(bind: str, *, tls: bool) -> bool:
    running = query("SELECT JSON_OBJECT('bind', @@bind_address, 'tls', @@have_ssl = 'YES')")
    return (not bind or running["bind"] == bind) and (not tls or bool(running["tls"]))


def _is_unused() -> bool:
    system = ", ".join(map(literal, _SYSTEM))
    return not query(
        "SELECT (SELECT COUNT(*) FROM information_schema.schemata"
        f" WHERE schema_name NOT IN ({system})) + (SELECT COUNT(*) FROM information_schema.processlist"
        " WHERE id <> CONNECTION_ID() AND user NOT IN ('system user', 'event_scheduler'))"
    )
