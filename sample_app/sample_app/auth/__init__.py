"""Users: sign up, confirm, sign in and out, API tokens."""

from flask import Blueprint

from sample_app.extensions import db, login
from sample_app.models import User

blueprint = Blueprint("auth", __name__)


@login.user_loader  # type: ignore[untyped-decorator]
def load_user(key: str) -> User | None:
    """The user of a session."""
    return db.session.get(User, int(key)) if key.isdigit() else None
