"""The kinds of databases behind one interface, a module for each kind."""

from collections.abc import Mapping
from typing import Any, Protocol

from packhorse_service import mariadb, postgresql, redis
from packhorse_service.changes import Changes
from packhorse_service.state import Database


class Kind(Protocol):
    """Interface of the modules of kinds; every function may be called again, and finishes what was begun."""

    def locate(self, database: Database) -> Database:
        """`database` with the port and place that it has or will get. Raises ServiceError."""

    def apply(self, database: Database, changes: Changes) -> None:
        """Make the server as `database` says: logins, the database, who is let in. Raises ServiceError."""

    def url(self, database: Database, which: str) -> str:
        """The URL with which clients log in as a or b."""

    def disconnect(self, database: Database, which: str) -> int:
        """End the connections of a login that is closed, or of `state.SHELL`; how many."""

    def describe(self, database: Database) -> dict[str, Any]:
        """{"version", "size" in bytes} of what runs; raises ServiceError when it does not answer."""

    def remove(self, database: Database, changes: Changes) -> None:
        """Remove the database with all data and logins; the state file stays until then."""


_KINDS: Mapping[str, Kind] = {"postgresql": postgresql, "mariadb": mariadb, "redis": redis}


def of(database: Database) -> Kind:
    """The module for a database."""
    return _KINDS[database.kind]
