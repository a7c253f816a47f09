"""`flask deploy`."""

import pytest
from flask import Flask
from sample_app.extensions import db
from sample_app.models import ROLES, Role
from sqlalchemy import select, text

from sample_app import commands


def test_deploy_may_run_again(app: Flask) -> None:
    """The roles are there once."""
    assert app.test_cli_runner().invoke(args=["deploy"]).exit_code == 0
    assert sorted(db.session.scalars(select(Role.name))) == sorted(ROLES)


def test_a_rollback_leaves_tables_of_newer_code_as_they_are(app: Flask) -> None:
    """Its release phase runs with the older code, which has never heard of the newer migration."""
    with db.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'of a later version'"))
    done = app.test_cli_runner().invoke(args=["deploy"])
    assert done.exit_code == 0, done.output
    with db.engine.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "of a later version"


def test_a_deploy_waits_for_another_one_but_not_for_ever(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """With SQLite too, where both would make the tables; one that failed holds up nobody."""
    monkeypatch.setattr(commands, "WAIT", 0)
    with commands.one_at_a_time():
        done = app.test_cli_runner().invoke(args=["deploy"])
        assert (done.exit_code, "Another `flask deploy`" in done.output) == (1, True)
    with pytest.raises(ZeroDivisionError), commands.one_at_a_time():
        raise ZeroDivisionError
    assert app.test_cli_runner().invoke(args=["deploy"]).exit_code == 0
