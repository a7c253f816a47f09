"""Answers for what goes wrong: pages for people; the API has problem+json of its own."""

from flask import Flask, render_template
from werkzeug.exceptions import HTTPException


def register(app: Flask) -> None:
    """Show a page for every error of HTTP; what was not foreseen is a 500 without details."""
    app.register_error_handler(HTTPException, page)


def page(error: HTTPException) -> tuple[str, int]:
    """A page in the words of the status."""
    status = error.code or 500
    return render_template("error.html", status=status, name=error.name, text=error.description), status
