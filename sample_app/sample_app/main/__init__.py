"""Pages of the board: list, search, post, archive."""

from flask import Blueprint, render_template

from sample_app import VERSION

blueprint = Blueprint("main", __name__)


@blueprint.get("/")
def home() -> str:
    """The list of links."""
    return render_template("home.html", version=VERSION)
