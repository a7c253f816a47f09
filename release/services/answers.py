"""Parse answers of hosts of services in strict forms: a host may be compromised."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import pydantic
from pydantic import ConfigDict, Field

from packhorse.errors import PackhorseError
from packhorse.settings import matching

REMOVAL = "removal"
"""Why a backup was made: of what was about to be removed."""
BACKUP_NAME = r"[0-9]{8}T[0-9]{6}Z(-[0-9]{1,3})?"
Text = Annotated[str, Field(max_length=2000)]
Word = Annotated[str, matching(r"[A-Za-z0-9_.+:@/-]*", "a word", 300)]


def _with_time(name: str) -> str:
    datetime.strptime(name[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return name


BackupName = Annotated[
    str, matching(BACKUP_NAME, "the name of a backup"), pydantic.AfterValidator(_with_time)
]
Number = Annotated[int, Field(ge=0, lt=2**63)]


# What applications get as their URL: a driver may read local files when an option says so.
_LOGIN_AND_PLACE = r"[a-z0-9-]+_[\w-]+:[\w-]+@(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}"
_URL = re.compile(
    rf"postgresql://{_LOGIN_AND_PLACE}/[\w-]+\?sslmode=require"
    rf"|mysql://{_LOGIN_AND_PLACE}/[\w-]+(\?ssl_mode=REQUIRED)?|redis://{_LOGIN_AND_PLACE}/0",
    re.ASCII,
)


def _url(text: str) -> str:
    if len(text) > 1000 or not _URL.fullmatch(text):
        raise ValueError("no URL of a database that packhorse-service makes")
    return text


class Answer(pydantic.BaseModel):
    """A part of an answer: what else stands in it does not count."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class Backup(Answer):
    """A backup: `copied`: another host has it, too; `origin`: of a copy, who brought it."""

    name: BackupName
    database: Word
    kind: Word
    version: Word
    size: Number
    sha256: Word
    rows: Number
    tables: Number
    why: Word = ""
    copied: bool = False
    origin: Word = ""

    @property
    def sender(self) -> str:
        """The host that brought this copy; "": it is none. Earlier versions had it alone for an origin."""
        return self.origin.rpartition("@")[2]


class LastRun(Answer):
    """Outcome of the timer's last run."""

    time: Number = 0
    ok: bool = True
    error: Text = ""


class Database(Answer):
    """A database of a host, with its backups there.

    `overdue`: when the timer should have made another one; `old`: what a restore has replaced.
    """

    name: Word
    kind: Word
    app: Word
    target: Word
    service: Word
    at: Text | None
    overdue: Number | None = None
    copy_to: Word | None
    backups: list[Backup]
    last: LastRun
    old: Word | None
    interrupted: bool
    folder: Word


class Databases(Answer):
    """All databases of a host."""

    databases: list[Database]


class DatabaseState(Answer):
    """State of a database at its server; `host`, `port`: as in its URL; `error`: it does not answer.

    `closed`: its removal has begun.
    """

    name: Word
    app: Word
    target: Word
    service: Word
    kind: Word
    login: Word
    host: Word = ""
    port: Number = 0
    rotating: bool = False
    closed: bool = False
    version: Word = ""
    size: Number = 0
    error: Text = ""


class Servers(Answer):
    """All databases of a host."""

    services: list[DatabaseState]


class Login(Answer):
    """A way into a database."""

    url: Annotated[str, Field(repr=False), pydantic.AfterValidator(_url)]
    login: Word


class ServiceCredentials(Login):
    """The login in use, and that of a rotation that has begun."""

    name: Word
    kind: Word
    next: Login | None = None


class Made(Answer):
    """A backup that was made, and where it lies."""

    backup: Backup | None = None
    path: Word = ""
    warning: Text = ""
    old: Word = ""
    notes: list[Text] = Field(default=[])
    paths: list[Word] = Field(default=[])


class Copies(Answer):
    """The copies that a host keeps, each to be read by itself: several hosts have brought them."""

    copies: list[dict[str, Any]]


A = TypeVar("A", bound=Answer)


def read(model: type[A], found: Mapping[str, Any], host: str) -> A:
    """The answer of `host` as a `model`. Raises PackhorseError for what no program of ours answers."""
    try:
        return model.model_validate(found)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise PackhorseError(
            f"{host} answered what no program of ours does: {where}: {first['msg'][:200]}.",
            "Run `release provision` if it is of another version; else look at what runs there.",
        ) from None
