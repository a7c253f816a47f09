"""`flask deploy`."""

from flask import Flask
from sample_app.extensions import db
from sample_app.models import ROLES, Role
from sqlalchemy import select, text


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
