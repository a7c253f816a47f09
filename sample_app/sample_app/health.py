"""Answers for supervisors: does the process live, may it get requests, what runs here."""

from flask import Blueprint, current_app
from sqlalchemy.exc import SQLAlchemyError

from sample_app import VERSION, schema
from sample_app.extensions import csrf, db, limiter

blueprint = Blueprint("health", __name__)
csrf.exempt(blueprint)
limiter.exempt(blueprint)


@blueprint.get("/healthz")
def healthz() -> dict[str, str]:
    """The process answers; what it needs is /readyz' business."""
    return {"status": "ok"}


@blueprint.get("/readyz")
def readyz() -> tuple[dict[str, str], int]:
    """The database answers, and has the tables of this code or of newer one."""
    try:
        with db.engine.connect() as connection:
            found = schema.compare(connection)
    except SQLAlchemyError as error:
        current_app.logger.warning("not ready: %s", type(error).__name__)
        return {"status": "the database does not answer"}, 503
    if found is schema.Schema.OLD:
        return {"status": "the database is not migrated"}, 503
    return {"status": "ok"}, 200


@blueprint.get("/version")
def about() -> dict[str, str | None]:
    """Version of the code, and the number of the running release."""
    return {"version": VERSION, "release": current_app.config["SETTINGS"].packhorse_release}
