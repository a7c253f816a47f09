"""The pages: what a visitor sees, and what a supervisor asks."""

from importlib.metadata import version

from flask import Blueprint, current_app, render_template

VERSION = version("sample-app")
blueprint = Blueprint("pages", __name__)


@blueprint.get("/")
def home() -> str:
    return render_template("home.html", version=VERSION)


@blueprint.get("/healthz")
def healthz() -> dict[str, str]:
    return {"status": "ok"}


@blueprint.get("/version")
def about() -> dict[str, str | None]:
    return {"version": VERSION, "release": current_app.config["RELEASE"]}
