"""Users: sign up, confirm, sign in and out, API tokens."""

from flask import Blueprint, abort, redirect, request, url_for
from werkzeug import Response

from sample_app.auth import confirmation
from sample_app.extensions import db, login
from sample_app.models import User, now

blueprint = Blueprint("auth", __name__)


@login.user_loader  # type: ignore[untyped-decorator]
def load_user(key: str) -> User | None:
    """The user of a session."""
    return db.session.get(User, int(key)) if key.isdigit() else None


@blueprint.get("/confirm")
def confirm() -> Response:
    """Believe that the address is that of the user: the link was in the mail.

    The token is in the query, which logs leave out.
    """
    user = confirmation.user_of(request.args.get("token", "")) or abort(404)
    user.confirmed_at = user.confirmed_at or now()
    db.session.commit()
    return redirect(url_for("main.home"))
