"""Alembic's entry: run migrations on the connection of Flask's application."""

from alembic import context
from sample_app.extensions import db


def run() -> None:
    """Bring the tables to the wanted revision, all or nothing where the database can."""
    with db.engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=db.metadata,
            compare_type=True,
            render_as_batch=connection.dialect.name == "sqlite",  # SQLite changes tables by copying them
        )
        with context.begin_transaction():
            context.run_migrations()


run()
