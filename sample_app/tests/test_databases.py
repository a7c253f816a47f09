"""The application with real PostgreSQL and MariaDB, by the URLs that `release services` writes."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import flask_migrate
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from databases import MariaDB, PostgreSQL, Server, database
from flask import Flask
from sample_app.config import Settings
from sample_app.extensions import db
from sample_app.models import ROLES, Role, User, now
from sqlalchemy import inspect, select, text, update
from support import environment, needs

from sample_app import board, commands, create_app, jobs


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(PostgreSQL, marks=needs("initdb"), id="postgresql"),
        pytest.param(MariaDB, marks=needs("mariadbd"), id="mariadb"),
    ],
)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """One server for all tests of its kind."""
    with database(request.param) as made:
        yield made


@pytest.fixture
def site(server: Server, tmp_path: Path) -> Iterator[Flask]:
    """The application on an empty database after `flask deploy`; in the end the migrations go down."""
    made = create_app(Settings(environment="testing", data_dir=tmp_path, database_url=server.url))
    done = made.test_cli_runner().invoke(args=["deploy"])
    assert done.exit_code == 0, done.output
    with made.app_context():
        yield made
        db.session.rollback()
        db.session.remove()
        flask_migrate.downgrade(revision="base")
        db.engine.dispose()


def add_user(email: str = "anna@example.com", *, confirmed: bool = True) -> User:
    """Somebody who may post."""
    role = db.session.scalar(select(Role).limit(1))
    at = now() if confirmed else None
    made = User(email=email, name="Anna", password_hash="-", role=role, confirmed_at=at)
    db.session.add(made)
    db.session.commit()
    return made


def test_migrations_make_what_the_models_say_and_go_down_again(site: Flask) -> None:
    """A migration that is forgotten, or can't be undone, shows here."""
    assert site.testing
    with db.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), db.metadata) == []
    flask_migrate.downgrade(revision="base")
    assert inspect(db.engine).get_table_names() == ["alembic_version"]
    flask_migrate.upgrade()
    assert "links" in inspect(db.engine).get_table_names()


def test_two_hosts_deploy_at_once(site: Flask, server: Server, tmp_path: Path) -> None:
    """On an empty database, and again: each role is there once."""
    flask_migrate.downgrade(revision="base")
    for _ in range(2):
        running = [
            subprocess.Popen(
                [sys.executable, "-m", "flask", "--app", "sample_app", "deploy"],
                env=environment(tmp_path, DATABASE_URL=server.url),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for _ in range(2)
        ]
        for process in running:
            output, _ = process.communicate(timeout=120)
            assert process.returncode == 0, output
        assert sorted(db.session.scalars(select(Role.name))) == sorted(ROLES)
        db.session.rollback()
    assert site.test_client().get("/readyz").status_code == 200


def test_a_deploy_that_waits_for_another_one_ends(site: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lock has no transaction, which would stop CREATE INDEX CONCURRENTLY."""
    with commands.one_at_a_time(), monkeypatch.context() as impatient:
        impatient.setattr(commands, "WAIT", 0)
        assert site.test_cli_runner().invoke(args=["deploy"]).exit_code == 1
        if db.engine.dialect.name == "postgresql":
            query = text("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'")
            assert db.session.scalar(query) == 0
    assert site.test_cli_runner().invoke(args=["deploy"]).exit_code == 0


def test_links_are_posted_listed_and_found(site: Flask) -> None:
    """In any script; a percent sign is one; what is archived is listed apart."""
    user = add_user()
    first = board.post(user, url="https://example.com/ä", title="Grüße 🐎 100%", tags=["café", "x"])
    board.post(user, url="https://example.com/2", title="Second", tags=["x"])
    titles = [link.title for link in board.page(board.query(), 1, 10).links]
    assert titles == ["Second", "Grüße 🐎 100%"]
    assert [link.id for link in board.page(board.query(search="grüß 🐎"), 1, 10).links] == [first.id]
    assert [link.id for link in board.page(board.query(search="🐎 100%"), 1, 10).links] == [first.id]
    assert board.page(board.query(search="200%"), 1, 10).links == []
    assert len(board.page(board.query(tag="x"), 1, 1).links) == 1
    board.archive(first)
    assert [link.title for link in board.page(board.query(archived=True), 1, 10).links] == ["Grüße 🐎 100%"]
    assert site.test_client().get("/").status_code == 200


def test_addresses_that_differ_by_accents_are_different_accounts(site: Flask) -> None:
    """Else who confirms one of them has the other, and guesses of its password are counted elsewhere."""
    assert site.testing
    add_user("\u00e1nna@example.com")
    assert User.find("anna@example.com") is None
    add_user()
    add_user("anna\u200b@example.com")
    found = [user.email for user in map(User.find, ("anna@example.com", "\u00e1nna@example.com")) if user]
    assert found == ["anna@example.com", "\u00e1nna@example.com"]


def test_the_connection_is_encrypted(site: Flask) -> None:
    """As the URL asks for: sslmode=require, ssl_mode=REQUIRED."""
    assert site.testing
    if db.engine.dialect.name == "postgresql":
        query = text("SELECT cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        assert db.session.scalar(query)
    else:
        row = db.session.execute(text("SHOW STATUS LIKE 'Ssl_cipher'")).one()
        assert row[1]


def test_the_next_request_works_after_a_restart_of_the_server(site: Flask, server: Server) -> None:
    """Connections of the pool are tried before they are used; without a database nobody is ready."""
    client = site.test_client()
    assert client.get("/readyz").status_code == 200
    server.stop()
    assert client.get("/readyz").status_code == 503
    server.start()
    assert client.get("/readyz").status_code == 200


def test_a_mail_that_another_worker_sends_is_left_to_it(site: Flask) -> None:
    """Who claims it at the same moment waits for the row, and finds it taken."""
    number = add_user(confirmed=False).id
    deliver = (jobs.in_context, site, jobs.deliver_confirmation, number)
    with ThreadPoolExecutor() as threads:
        with db.engine.begin() as other:
            other.execute(update(User).values(confirmation_claimed_at=now()))
            second = threads.submit(*deliver)
            with pytest.raises(TimeoutError):
                second.result(1)
        second.result(30)
    sent = select(User.confirmation_sent_at)
    assert db.session.scalar(sent) is None
    old = now() - timedelta(seconds=jobs.CLAIM)
    db.session.execute(update(User).values(confirmation_claimed_at=old))
    db.session.commit()
    jobs.in_context(*deliver[1:])
    assert db.session.scalar(sent)
