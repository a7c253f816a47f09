"""Remember since when a worker sends a mail, instead of locking the row meanwhile."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("confirmation_claimed_at", sa.DateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("users", "confirmation_claimed_at")
