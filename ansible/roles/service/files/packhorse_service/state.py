"""Wanted state of each database: a file below /etc/packhorse/services, root's alone.

It is written before the server is changed, so that a command that was killed is finished by the next one.
"""

import contextlib
import dataclasses
import fcntl
import ipaddress
import json
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from packhorse_service.errors import ServiceError

FOLDER = Path("/etc/packhorse/services")
KINDS = ("postgresql", "mariadb", "redis")
LOGINS = ("a", "b")
SHELL = "s"
"""The login of `release services shell`, where it has one of its own."""
RESTORES = ("__n", "__o")
"""After the name: what a restore fills, and what the last one has replaced."""
LOCK_TIMEOUT = 60.0
_PART = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
NAME = re.compile(rf"{_PART}_{_PART}_{_PART}")
LONGEST_NAME = 60
LONGEST_STATE = 1_000_000  # bytes


@dataclasses.dataclass(frozen=True)
class Database:
    """A database of a target: `name` is APP_TARGET_SERVICE, also the role that owns all in it.

    `clients`: the addresses that are let in; `listen`: those that the server listens at besides loopback;
    `host` and `port`: where clients find it. Of the two logins NAME__a and NAME__b, `passwords` has those
    that are open, none once a removal has begun; `current` is the one in use, `next` the one that a rotation
    has opened. `place`: which server of the host, where there are several. `admin`: the password of this
    program's own login, where a server wants one. `backup`: its settings in release.toml.
    """

    name: str
    kind: str
    version: str | None = None
    clients: tuple[str, ...] = ()
    listen: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    port: int = 0
    place: str = ""
    passwords: Mapping[str, str] = dataclasses.field(default_factory=dict)
    current: str = "a"
    next: str | None = None
    admin: str = ""
    backup: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def parts(self) -> tuple[str, str, str]:
        """Application, target and service."""
        app, target, service = self.name.split("_")
        return app, target, service

    def login(self, which: str) -> str:
        """The name of the login a or b at the server."""
        return f"{self.name}__{which}"

    def with_(self, **changes: Any) -> "Database":  # noqa: ANN401  # fields of several types
        """A copy with other values."""
        return dataclasses.replace(self, **changes)


def check_name(name: object) -> str:
    """`name`, if a database of ours can be called so. Raises ServiceError."""
    if not isinstance(name, str) or len(name) > LONGEST_NAME or not NAME.fullmatch(name):
        raise ServiceError(f"{name!r:.80} is no APP_TARGET_SERVICE.", "Look into release.toml.")
    return name


def address(text: object) -> str:
    """An IP address in its one form. Raises ServiceError."""
    try:
        return str(ipaddress.ip_address(text if isinstance(text, str) and "%" not in text else ""))
    except ValueError:
        raise ServiceError(f"{text!r:.80} is no IP address.", "Look into release.toml.") from None


def names() -> list[str]:
    """The names of all databases of this host, in order."""
    with contextlib.suppress(FileNotFoundError):
        return sorted(path.name for path in FOLDER.iterdir() if NAME.fullmatch(path.name))
    return []


def every(kind: str) -> list[Database]:
    """All databases of a kind."""
    return [database for name in names() if (database := find(name)) and database.kind == kind]


def find(name: str) -> Database | None:
    """The database `name`, None if nobody has applied it yet. Raises ServiceError."""
    file = folder(name) / "state.json"
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ServiceError(f"{file} cannot be read: {error.strerror}.", "It has to be root's file.") from None
    with open(descriptor, "rb") as stream:  # noqa: PTH123  # a descriptor
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise ServiceError(f"{file} is not root's alone.", "Find out who changed it; then: chmod 600.")
        content = json.loads(stream.read(LONGEST_STATE))
    values: dict[str, Any] = {
        field.name: content[field.name] for field in dataclasses.fields(Database) if field.name in content
    }
    return Database(**{**values, "clients": tuple(values["clients"]), "listen": tuple(values["listen"])})


def load(name: object) -> Database:
    """The database `name`. Raises ServiceError when there is none."""
    database = find(check_name(name))
    if database is None:
        known = ", ".join(names()) or "none"
        raise ServiceError(
            f"There is no database {name} on this host; there are: {known}.",
            "Bring it: release provision",
        )
    return database


def save(database: Database) -> None:
    """Write the state, as a whole and on the disk."""
    write(
        folder(database.name) / "state.json", json.dumps(dataclasses.asdict(database), indent=1) + "\n", 0o600
    )


def write(file: Path, text: str, mode: int, group: int = -1) -> None:
    """Put a file into a folder of root's as a whole: whoever reads it sees the old or the new one."""
    if not file.parent.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.parent.chmod(0o700 if mode == 0o600 else 0o755)
    scratch = file.with_name(f".{file.name}.new")  # a killed command leaves one, and no more
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as stream:  # noqa: PTH123  # a descriptor
            stream.write(text)
            os.fchown(descriptor, -1, group)
            os.fchmod(descriptor, mode)
            stream.flush()
            os.fsync(descriptor)
        scratch.replace(file)
    finally:
        scratch.unlink(missing_ok=True)


def folder(name: str) -> Path:
    """The folder of a database's files, root's alone."""
    return FOLDER / check_name(name)


def switching(name: str) -> Path:
    """The file that is there from the first to the last step of a restore's switch."""
    return folder(name) / "switching.json"


def refuse_interrupted(database: Database) -> None:
    """Raise ServiceError if a restore was killed while it switched: its logins are closed, for one."""
    if switching(database.name).exists():
        _, target, service = database.parts
        raise ServiceError(
            f"A restore of {database.name} was interrupted.",
            f"Finish it: release services restore {service} {target}",
        )


def refuse_closed(database: Database) -> None:
    """Raise ServiceError if all logins of a database are closed for its removal, which has not ended."""
    if not database.passwords:
        _, target, service = database.parts
        raise ServiceError(
            f"{database.name} is closed: its removal has begun.",
            f"Go on: release services remove {service} {target}; to use it again: release provision",
        )


@contextlib.contextmanager
def lock() -> Iterator[None]:
    """Keep other commands away, as they change files and servers of all databases. Raises ServiceError."""
    FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(FOLDER / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        until = time.monotonic() + LOCK_TIMEOUT
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise ServiceError(
                        "Another command changes databases of this host.", "Try again when it is done."
                    ) from None
                time.sleep(0.1)
        yield
    finally:
        os.close(descriptor)


def addresses(texts: object) -> tuple[str, ...]:
    """IP addresses in their one form and order, each once. Raises ServiceError."""
    if not isinstance(texts, Sequence) or isinstance(texts, str):
        raise ServiceError(f"{texts!r:.80} is no list of addresses.", "Look into release.toml.")
    unique = {ipaddress.ip_address(address(text)) for text in texts}
    return tuple(str(each) for each in sorted(unique, key=lambda each: (each.version, int(each))))
