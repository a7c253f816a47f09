"""The kinds of databases behind one interface: dump, load into a new one, switch to that."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, cast

from packhorse_service.backups import mariadb, postgresql, redis
from packhorse_service.state import Database


class Engine(Protocol):
    """One database of a server of this host."""

    @property
    def database(self) -> str:
        """Its name."""

    @property
    def restored(self) -> str:
        """The name of what a restore fills."""

    @property
    def old(self) -> str:
        """The name of what the last restore has replaced, if it still `exists`."""

    def exists(self, name: str) -> bool:
        """Whether the server has a database `name`."""

    def version(self) -> str:
        """The version of the server."""

    def facts(self) -> dict[str, str]:
        """Settings that a new database for the same content needs from the beginning."""

    def dump(self, name: str, write: Callable[[bytes], object]) -> dict[str, int]:
        """Write database `name`, all of it of one moment; returns table -> rows. Raises BackupError."""

    def load(self, path: Path, facts: dict[str, str]) -> tuple[dict[str, int], list[str]]:
        """Fill a new database from a dump; returns table -> rows, and notes. Raises BackupError."""

    def switch(self) -> str:
        """Let the new database take the place of the other, which is `old` then. Raises BackupError.

        From the first step to the last there is `state.switching`: called again, this finishes it.
        """

    def drop(self, name: str) -> None:
        """Remove `restored` or `old`, if it is there."""

    def shell(self, run: Callable[[list[str], dict[str, str]], int]) -> int:
        """Let `run` start the server's own client, with this environment; its exit status."""


def of(database: Database) -> Engine:
    """The engine for a database."""
    kinds: Any = {"postgresql": postgresql, "mariadb": mariadb, "redis": redis}
    return cast("Engine", kinds[database.kind].of(database))
