"""Commands of `flask`: `deploy` prepares the database for the code that is about to serve."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import click
import flask_migrate
from flask import Flask
from flask.cli import with_appcontext
from sqlalchemy import Connection, select, text

from sample_app import models
from sample_app.extensions import db

LOCK = "sample-app deploy"
WAIT = 300
"""Seconds to wait for another host that migrates."""


def register(app: Flask) -> None:
    """Add the commands to `app`."""
    app.cli.add_command(deploy)


@click.command()
@with_appcontext
def deploy() -> None:
    """Migrate the database and insert what the application cannot do without.

    Safe to run again, and on two hosts at once: the second one waits.
    """
    with db.engine.connect() as connection, one_at_a_time(connection):
        flask_migrate.upgrade()
        insert_roles()
    click.echo("The database is ready.")


def insert_roles() -> None:
    """Add the roles that are not there yet."""
    there = set(db.session.scalars(select(models.Role.name)))
    db.session.add_all(models.Role(name=name) for name in models.ROLES if name not in there)
    db.session.commit()


@contextmanager
def one_at_a_time(connection: Connection) -> Iterator[None]:
    """Hold a lock of the database server's; SQLite has but one writer anyway."""
    kind = connection.dialect.name
    if kind == "postgresql":
        number = int.from_bytes(hashlib.sha256(LOCK.encode()).digest()[:8], signed=True)
        connection.execute(text("SELECT pg_advisory_lock(:number)"), {"number": number})
    elif kind in {"mysql", "mariadb"}:
        got = connection.scalar(text("SELECT GET_LOCK(:name, :wait)"), {"name": LOCK, "wait": WAIT})
        if got != 1:
            msg = f"Another host has been migrating the database for {WAIT} s."
            raise click.ClickException(msg)
    yield  # the lock goes with the connection
    connection.invalidate()
