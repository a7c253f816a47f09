"""Commands of `flask`: `deploy` is the release phase, `worker` a process type, `cleanup` a scheduled job."""

import fcntl
import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TextIO

import click
import flask_migrate
from flask import Flask, current_app
from flask.cli import ScriptInfo, with_appcontext
from sqlalchemy import Connection, delete, exists, func, select, text

from sample_app import jobs, models, schema, seed
from sample_app.auth import confirmation
from sample_app.extensions import db
from sample_app.models import User

LOCK = "sample-app deploy"
WAIT = 300
"""Seconds to wait for another `flask deploy`."""


def register(app: Flask) -> None:
    """Add the commands to `app`."""
    for command in (deploy, worker, cleanup, seed.seed):
        app.cli.add_command(command)


@click.command()
@with_appcontext
def deploy() -> None:
    """Migrate the database and insert what the application cannot do without.

    Safe to run again, and on two hosts at once: the second one waits. A rollback runs it, too: tables that
    newer code has migrated stay as they are.
    """
    with one_at_a_time() as connection:
        if schema.compare(connection) is schema.Schema.NEWER:
            current_app.logger.warning("the database was migrated by newer code, and stays as it is")
        else:
            flask_migrate.upgrade()
        insert_roles()
    current_app.logger.info("the database is ready")


def insert_roles() -> None:
    """Add the roles that are not there yet."""
    there = set(db.session.scalars(select(models.Role.name)))
    db.session.add_all(models.Role(name=name) for name in models.ROLES if name not in there)
    db.session.commit()


@click.command()
@click.pass_context
def worker(context: click.Context) -> None:
    """Do the jobs of the queue. TERM: finish the job at hand, and end."""
    app = context.ensure_object(ScriptInfo).load_app()  # outside of its context: each job has its own
    app.extensions["queue"].create_consumer(graceful_signal="TERM", max_delay=1.0, periodic=False).run()


@click.command()
@click.option("--days", default=confirmation.DAYS, show_default=True, help="how old the last mail may be")
@with_appcontext
def cleanup(days: int) -> None:
    """Delete accounts that nobody has confirmed, and queue again mails that were not sent.

    Safe to run again, at any time.
    """
    since = func.coalesce(User.confirmation_sent_at, User.created_at)  # what the last mail says counts
    old = since < models.now() - timedelta(days=days)
    stale = select(User.id).where(
        old, User.confirmed_at.is_(None), ~exists().where(models.Link.user_id == User.id)
    )
    numbers = list(db.session.scalars(stale.limit(1000)))
    db.session.execute(delete(models.Token).where(models.Token.user_id.in_(numbers)))
    db.session.execute(delete(User).where(User.id.in_(numbers), User.confirmed_at.is_(None)))
    db.session.commit()
    jobs.queue_unsent()
    current_app.logger.info("deleted %d accounts that were never confirmed", len(numbers))


@contextmanager
def one_at_a_time() -> Iterator[Connection]:
    """Hold the lock of `flask deploy`. Raises ClickException if another one holds it for WAIT seconds.

    The connection has no transaction: one that is open would block CREATE INDEX CONCURRENTLY of a migration.
    """
    path, end = current_app.config["SETTINGS"].data_dir / "deploy.lock", time.monotonic() + WAIT
    with db.engine.connect() as connection, path.open("a") as file:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        while not take(connection, file):
            if time.monotonic() >= end:
                msg = f"Another `flask deploy` has been at work on the database for {WAIT} s."
                raise click.ClickException(msg)
            time.sleep(0.5)
        try:
            yield connection
        finally:
            connection.invalidate()  # the server's lock goes with it


def take(connection: Connection, file: TextIO) -> bool:
    """Try to take the lock: of the database server, or of `file` with SQLite, which is on one host only."""
    match connection.dialect.name:
        case "postgresql":
            number = int.from_bytes(hashlib.sha256(LOCK.encode()).digest()[:8], signed=True)
            query = text("SELECT pg_try_advisory_lock(:number)")
            return bool(connection.scalar(query, {"number": number}))
        case "mysql" | "mariadb":
            return bool(connection.scalar(text("SELECT GET_LOCK(:name, 0)"), {"name": LOCK}))
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
