"""Compare the tables of the database with the migrations of this code."""

from enum import Enum
from functools import cache
from pathlib import Path

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection


class Schema(Enum):
    """How the tables are, as this code sees them."""

    OLD = "they lack a migration"
    CURRENT = "they are as the models have them"
    NEWER = "newer code has migrated them: this one was rolled back to, or is about to be replaced"


def compare(connection: Connection) -> Schema:
    """What the database has."""
    there = set(MigrationContext.configure(connection).get_current_heads())
    known, heads = _revisions()
    if not there <= known:
        return Schema.NEWER
    return Schema.CURRENT if there == heads else Schema.OLD


@cache
def _revisions() -> tuple[frozenset[str], frozenset[str]]:
    """All that this code knows, and the last."""
    scripts = ScriptDirectory(str(Path(__file__).with_name("migrations")))
    return frozenset(each.revision for each in scripts.walk_revisions()), frozenset(scripts.get_heads())
