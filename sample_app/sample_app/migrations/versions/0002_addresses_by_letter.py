"""Tell addresses apart that differ by accents only: MariaDB compared them by its default collation."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name in {"mysql", "mariadb"}:
        op.execute(
            "ALTER TABLE users MODIFY email VARCHAR(254) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL"
        )


def downgrade() -> None:
    """Leave the column: the version before works with it, and by the former collation accounts may clash."""
