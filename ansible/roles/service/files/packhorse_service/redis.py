"""Redis: an instance of its own for each database, from Debian's template unit, with two logins (ACL)."""

import contextlib
import functools
import grp
import shutil
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from packhorse_service import network, passwords, programs, state
from packhorse_service.changes import Changes
from packhorse_service.errors import ServiceError
from packhorse_service.state import Database

ETC = Path("/etc/packhorse/redis")  # root's, as /etc/redis is the user's own
UNITS = Path("/etc/systemd/system")
DATA = "/var/lib/redis"  # the user's own: root touches nothing in it
USER = "redis"
FIRST_PORT, LAST_PORT = 6379, 6879
ADMINISTRATOR = "packhorse"  # a login for this program alone
# All but what changes the server itself; clients ask for settings, which hold no password.
_RIGHTS = ("~*", "&*", "+@all", "-@admin", "+config|get")
_LONGEST_ANSWER = 10_000_000  # bytes
_TIMEOUT = 30.0
RULES = ETC / "clients.nft"
_TABLE = "packhorse_redis"
_FIREWALL = "packhorse-redis"
_FIREWALL_UNIT = f"""\
[Unit]
Description=Lets the hosts of applications in to their instances of Redis
After=nftables.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft --file {RULES}
ExecReload=/usr/sbin/nft --file {RULES}

[Install]
WantedBy=multi-user.target
"""
# Debian's nftables.service flushes all tables when it starts, reloads and stops: the same answer as in the
# drop-ins of roles firewall and monitoring.
_NFTABLES_UNIT = f"""\
[Service]
ExecStartPost=-/usr/sbin/nft --file {RULES}
ExecReload=-/usr/sbin/nft --file {RULES}
ExecStopPost=-/usr/sbin/nft --file {RULES}
"""
# Redis does not start where nobody would be kept out, and listens at addresses that the network gives.
_INSTANCE_UNIT = f"""\
[Unit]
Wants=network-online.target
Requires={_FIREWALL}.service
After=network-online.target {_FIREWALL}.service

[Service]
ExecStart=
ExecStart=/usr/bin/redis-server {ETC}/%i.conf --supervised systemd --daemonize no
"""
Answer = str | int | list["Answer"] | None


def locate(database: Database) -> Database:
    """The port that it has, or the first that is free; a password for this program. Raises ServiceError."""
    version = programs.run(["redis-server", "--version"]).partition("v=")[2].partition(" ")[0]
    if database.version and not version.startswith(f"{database.version}."):
        raise ServiceError(
            f"This host has Redis {version}, and release.toml wants {database.version}.",
            f'Write there: version = "{".".join(version.split(".")[:2])}"',
        )
    admin = database.admin or passwords.new()
    return database.with_(port=database.port or _free_port(), place=_unit(database), admin=admin)


def apply(database: Database, changes: Changes) -> None:
    """Make the instance as `database` says, without a restart of one that runs. Raises ServiceError."""
    file, text = ETC / f"{database.name}.conf", configuration(database)
    if not file.exists() or file.read_text() != text:
        group = grp.getgrnam(USER).gr_gid
        changes.do(f"writes {file}", lambda: state.write(file, text, 0o640, group))
    _let_in(database, changes)
    if not _is_active(_unit(database)):
        changes.do(
            f"starts {_unit(database)}",
            lambda: programs.run(["systemctl", "enable", "--now", _unit(database)]),
        )
        return
    with connection(database) as server:
        _logins(database, server, changes)
        bind = _bind(database)
        if server("CONFIG", "GET", "bind") != ["bind", bind]:
            changes.do(f"lets it listen at {bind}", lambda: server("CONFIG", "SET", "bind", bind))


def url(database: Database, which: str) -> str:
    """Without TLS: the clients of many applications take no certificate of a host's own."""
    login = f"{database.login(which)}:{database.passwords[which]}"
    return f"redis://{login}@{network.in_url(database.host)}:{database.port}/0"


def disconnect(database: Database, which: str) -> int:
    """End the connections of a closed login; shells use those of the application."""
    if which not in state.LOGINS:
        return 0
    with connection(database) as server:
        ended = server("CLIENT", "KILL", "USER", database.login(which))
    return ended if isinstance(ended, int) else 0


def describe(database: Database) -> dict[str, object]:
    """Version, and the memory that its data take."""
    with connection(database) as server:
        lines = f"{server('INFO', 'server')}{server('INFO', 'memory')}".splitlines()
    found = dict(line.split(":", 1) for line in lines if ":" in line)
    return {"version": found["redis_version"], "size": int(found["used_memory"])}


def remove(database: Database, changes: Changes) -> None:
    """Stop the instance, and remove its data and its files."""
    name = database.name
    if (ETC / f"{name}.conf").exists() or _is_active(_unit(database)):
        stop = ["systemctl", "disable", "--now", _unit(database)]
        changes.do(f"stops {_unit(database)}", lambda: programs.run(stop))
    files = [f"{DATA}/{name}{end}" for end in (".rdb", ".aof", *state.RESTORES)]
    changes.do(f"removes {' and '.join(files)}", lambda: programs.run(["rm", "-rf", "--", *files], user=USER))
    (ETC / f"{name}.conf").unlink(missing_ok=True)
    shutil.rmtree(UNITS / f"{_unit(database)}.service.d", ignore_errors=True)
    state.write(RULES, rules([each for each in state.every("redis") if each.name != name]), 0o644)
    programs.run(["systemctl", "daemon-reload"])
    _load()


def configuration(database: Database) -> str:
    """The instance's file: other settings of the administrator come from a file beside it."""
    name, socket_ = database.name, _socket(database)
    lines = [
        f"# release provision writes this file; settings of your own: {name}.local.conf here",
        f"include {ETC}/{name}.local*.conf",
        f"port {database.port}",
        f"bind {_bind(database)}",
        "protected-mode yes",
        f"unixsocket {socket_}",
        "unixsocketperm 700",
        f"pidfile {socket_.parent}/redis-server.pid",
        'logfile ""',  # the journal
        f"dir {DATA}",
        f"dbfilename {name}.rdb",
        "appendonly yes",
        f"appenddirname {name}.aof",
        "user default off",
        f"user {ADMINISTRATOR} on #{passwords.redis_hash(database.admin)} ~* &* +@all",
        *(f"user {' '.join([database.login(which), *_rules(database, which)])}" for which in state.LOGINS),
    ]
    return "".join(f"{line}\n" for line in lines)


def _rules(database: Database, which: str) -> list[str]:
    password = database.passwords.get(which)
    return ["on", f"#{passwords.redis_hash(password)}", *_RIGHTS] if password else ["off"]


def _logins(database: Database, server: "Command", changes: Changes) -> None:
    for which in state.LOGINS:
        name, rules = database.login(which), _rules(database, which)
        if not _has_login(server("ACL", "GETUSER", name), rules):
            words = ["ACL", "SETUSER", name, "reset", *rules]
            verb = "closes" if rules == ["off"] else "opens"
            changes.do(f"{verb} {name}", functools.partial(server, *words))


def _has_login(answer: Answer, rules: list[str]) -> bool:
    """Whether ACL GETUSER, names and values in turn, shows a login as `rules` have it."""
    found: dict[Any, Any] = {}
    if isinstance(answer, list):
        found = dict(zip(answer[::2], answer[1::2], strict=True))
    hashes = [f"#{each}" for each in found.get("passwords", [])]
    is_open = "on" in found.get("flags", [])
    return (["on", *hashes] if is_open else ["off"]) == rules[: 1 + is_open]


def _let_in(database: Database, changes: Changes) -> None:
    """Redis knows no hosts: nftables lets their addresses in, and nobody else in the network."""
    every = [*[each for each in state.every("redis") if each.name != database.name], database]
    allowed = ", ".join(database.clients) or "nobody"
    files = {
        UNITS / f"{_FIREWALL}.service": _FIREWALL_UNIT,
        UNITS / f"nftables.service.d/{_FIREWALL}.conf": _NFTABLES_UNIT,
        UNITS / f"{_unit(database)}.service.d/packhorse.conf": _INSTANCE_UNIT,
    }
    for file, text in files.items():
        if not file.exists() or file.read_text() != text:
            changes.do(f"writes {file}", functools.partial(_write_unit, file, text))
    text = rules(every)
    if not RULES.exists() or RULES.read_text() != text:
        changes.do(f"lets {allowed} in to {database.name}", lambda: state.write(RULES, text, 0o644))
    if not changes.check:  # every time, whatever else has been loaded meanwhile: it ends no connection
        _load()


def rules(databases: Sequence[Database]) -> str:
    """The text for `nft --file`: the ports of instances are open to their clients and to the host itself."""
    lines = []
    for each in sorted(databases, key=lambda each: each.port):
        for family, sign in (("ip", "."), ("ip6", ":")):
            if addresses := [client for client in each.clients if sign in client]:
                lines.append(f"tcp dport {each.port} {family} saddr {{ {', '.join(addresses)} }} accept")
        lines.append(f"tcp dport {each.port} reject with tcp reset")
    text = "".join(f"    {line}\n" for line in ['iif "lo" accept', *lines])
    chain = f"  chain input {{\n    type filter hook input priority filter - 1; policy accept;\n{text}  }}\n"
    table = f"table inet {_TABLE}"
    return f"# release provision writes this file.\n{table}\ndelete {table}\n{table} {{\n{chain}}}\n"


def _write_unit(file: Path, text: str) -> None:
    state.write(file, text, 0o644)
    programs.run(["systemctl", "daemon-reload"])


def _load() -> None:
    try:
        programs.run(["nft", "--file", str(RULES)])
    except ServiceError as error:
        raise ServiceError(
            f"Nothing would keep other hosts from Redis: {error.message}", "A container needs CAP_NET_ADMIN."
        ) from None
    programs.run(["systemctl", "enable", "--quiet", _FIREWALL])
    programs.run(["systemctl", "start", _FIREWALL])


def _bind(database: Database) -> str:
    ours = network.wanted(database.listen)
    return "* -::*" if ours is None else " ".join(["127.0.0.1", "-::1", *ours])


def _unit(database: Database) -> str:
    return f"redis-server@{database.name}"


def _socket(database: Database) -> Path:
    return Path(f"/run/redis-{database.name}/redis.sock")


def _is_active(unit: str) -> bool:
    shown = programs.run(["systemctl", "show", "--property=ActiveState", "--value", unit])
    return shown.strip() in ("active", "reloading")


def _free_port() -> int:
    taken = {each.port for each in state.every("redis")}
    for port in range(FIRST_PORT, LAST_PORT):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("", port))
            if port not in taken:
                return port
    raise ServiceError("No port from 6379 to 6878 is free on this host.", "See what listens: ss -ltn")


class _Stream(Protocol):
    def write(self, data: bytes, /) -> int: ...
    def flush(self) -> None: ...
    def read(self, size: int, /) -> bytes: ...
    def readline(self, size: int, /) -> bytes: ...


class Command:
    """A connection to an instance: called with the words of a command, it gives the answer (RESP2)."""

    def __init__(self, stream: "_Stream") -> None:
        self._stream = stream

    def __call__(self, *words: str) -> Answer:
        """The answer to a command. Raises ServiceError."""
        encoded = [word.encode() for word in words]
        parts = [b"*%d\r\n" % len(encoded), *(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)]
        self._stream.write(b"".join(parts))
        self._stream.flush()
        return self._read()

    def _read(self) -> Answer:
        line = self._stream.readline(_LONGEST_ANSWER).decode(errors="replace").rstrip("\r\n")
        kind, rest = line[:1], line[1:]
        if kind == "+":
            return rest
        if kind not in (":", "$", "*"):
            raise ServiceError(f"Redis says: {rest[:200] or 'nothing'}", "Look at its journal.")
        number = int(rest)
        if kind == ":":
            return number
        if not 0 <= number <= _LONGEST_ANSWER:
            return None
        if kind == "*":
            return [self._read() for _ in range(number)]
        return self._stream.read(number + 2)[:-2].decode(errors="replace")


@contextlib.contextmanager
def connection(database: Database) -> Iterator[Command]:
    """This program's own login. Raises ServiceError when the instance does not answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(_TIMEOUT)
        try:
            link.connect(str(_socket(database)))
            with link.makefile("rwb") as stream:
                command = Command(stream)
                command("AUTH", ADMINISTRATOR, database.admin)
                yield command
        except (OSError, ValueError) as error:
            raise ServiceError(
                f"{_unit(database)} does not answer: {error}", f"Look: journalctl -u {_unit(database)}"
            ) from None
