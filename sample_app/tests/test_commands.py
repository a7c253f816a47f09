"""`flask deploy`."""

from flask import Flask
from sample_app.extensions import db
from sample_app.models import ROLES, Role
from sqlalchemy import select


def test_deploy_may_run_again(app: Flask) -> None:
    """The roles are there once."""
    assert app.test_cli_runner().invoke(args=["deploy"]).exit_code == 0
    assert sorted(db.session.scalars(select(Role.name))) == sorted(ROLES)
