"""Tokens of the mails that confirm an address: signed, good for a week."""

from flask import current_app
from itsdangerous import BadSignature, URLSafeTimedSerializer

from sample_app.extensions import db
from sample_app.models import User

DAYS = 7


def token(user: User) -> str:
    """What the link in the mail of `user` has at its end."""
    return _serializer().dumps([user.id, user.email])


def user_of(token: str) -> User | None:
    """The user whose mail had `token`, if it is not too old, and the address is still that of the user."""
    try:
        number, email = _serializer().loads(token, max_age=DAYS * 24 * 3600)
    except BadSignature:  # SignatureExpired is one
        return None
    user = db.session.get(User, number)
    return user if user and user.email == email else None


def _serializer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt="confirmation")
