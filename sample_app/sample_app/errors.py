"""Error pages for people: what happened, and what to do now. The API has problem+json of its own."""

from flask import Flask, Response, render_template
from flask_wtf.csrf import CSRFError
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.exceptions import Conflict, HTTPException

from sample_app.api import problems
from sample_app.extensions import db

TEXTS = {
    400: ("That request made no sense to us", "Go back, check what you entered, and try again."),
    403: ("This is not yours to do", "Only who posted a link, or an administrator, may change it."),
    404: ("There is nothing here", "The address may be mistyped, or what was here is gone."),
    405: ("That can't be done here", "This address doesn't take such a request. Start again from the board."),
    409: (
        "Somebody else was faster",
        "This link was changed at the same moment. Go back, reload, and look again.",
    ),
    413: ("That is too much", "What you sent is larger than a link needs. Shorten it, and try again."),
    429: (
        "That was too often",
        "To keep accounts safe we stop after several attempts. Wait {wait}, and try again.",
    ),
    500: ("Something broke on our side", "It has been reported. Try again in a moment."),
}
EXPIRED = (
    "This form has expired",
    "You may have signed in or out in another tab. Go back, reload the page, and send it again.",
)


def register(app: Flask) -> None:
    """Show a page for every error of HTTP; what was not foreseen is a 500 without details."""
    app.register_error_handler(HTTPException, page)
    app.register_error_handler(StaleDataError, stale)


def page(error: HTTPException) -> Response:
    """The page for `error`, with its headers (Allow, Retry-After); below /api what programs read."""
    if problems.concerned():
        return problems.answer(error)
    status = error.code or 500
    title, text = (
        EXPIRED if isinstance(error, CSRFError) else TEXTS.get(status, (error.name, error.description or ""))
    )
    response = error.get_response()
    wait = response.headers.get("Retry-After", "")
    # A 500 may come from the database: that page asks it nothing, not even who is signed in.
    known = {"user": None} if status >= 500 else {}
    return Response(
        render_template(
            "error.html", status=status, title=title, text=text.format(wait=minutes(wait)), **known
        ),
        status,
        {name: value for name, value in response.headers if name not in {"Content-Type", "Content-Length"}},
    )


def stale(_: StaleDataError) -> Response:
    """The page for a change that lost the race against another one."""
    db.session.rollback()
    return page(Conflict())


def minutes(seconds: str) -> str:
    """`seconds` of a Retry-After header, in words."""
    count = -(-int(seconds) // 60) if seconds.isdigit() else 1
    return "a minute" if count == 1 else f"{count} minutes"
