"""Users: sign up, confirm, sign in and out, profile, API tokens."""

from hmac import compare_digest

from sample_app.auth.pages import blueprint
from sample_app.extensions import db, login
from sample_app.models import User

__all__ = ["blueprint"]

login.login_view = "auth.sign_in"
login.refresh_view = "auth.sign_in"
login.login_message = "Sign in to go on."
login.needs_refresh_message = "Sign in once more: this page is about your password."


@login.user_loader  # type: ignore[untyped-decorator]
def load_user(key: str) -> User | None:
    """The user of a session, unless the password is another one by now."""
    number = key.partition(".")[0]
    user = db.session.get(User, int(number)) if number.isdecimal() else None
    return user if user and compare_digest(user.get_id().encode(), key.encode()) else None
