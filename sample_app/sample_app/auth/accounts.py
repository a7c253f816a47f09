"""Accounts: sign up, confirm, and check passwords, in a way that tells nobody which addresses are known."""

from datetime import timedelta
from functools import cache

from flask import current_app
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from werkzeug.security import check_password_hash, generate_password_hash

from sample_app import jobs
from sample_app.extensions import db
from sample_app.models import ADMIN, MEMBER, Role, User, now

PAUSE = timedelta(minutes=1)
"""Between two mails to the same address."""


def sign_up(*, name: str, email: str, password: str) -> None:
    """Make an account, which is good for nothing until `confirm`; nothing happens to one that is confirmed.

    One that isn't confirmed gets the new name and password: who was first may not be who reads the mail.
    An address that is known takes as long: a hash, something to write, and a job that finds nothing to do.
    """
    hashed = generate_password_hash(password)
    user = User.find(email)
    if user is None:
        user = User(name=name, email=email, password_hash=hashed, role=role(MEMBER))
        db.session.add(user)
    elif user.confirmed_at is None:
        ask_for_mail(user)
        waiting = update(User).where(User.id == user.id, User.confirmed_at.is_(None))  # still, at this moment
        db.session.execute(waiting.values(name=name, password_hash=hashed))
    else:
        user.confirmation_sent_at = now()
    try:
        db.session.commit()
    except IntegrityError:  # the same address at the same moment: the other one counts
        db.session.rollback()
    else:
        jobs.send_confirmation(user.id)


def send_again(email: str) -> None:
    """Send the mail with the link once more, if `email` waits for one."""
    user = User.find(email)
    if user and user.confirmed_at is None:
        ask_for_mail(user)
        db.session.commit()
    jobs.send_confirmation(user.id if user else 0)


def ask_for_mail(user: User) -> None:
    """Let the worker send the mail again, unless the last one was sent a moment ago."""
    if user.confirmation_sent_at and now() - user.confirmation_sent_at >= PAUSE:
        user.confirmation_sent_at = None


def confirm(user: User) -> bool:
    """Believe that the address is that of `user`, who becomes an administrator if ADMINS has it.

    False if the password is no longer the one that was compared: somebody signed up again at this moment.
    """
    admins = {address.lower() for address in current_app.config["SETTINGS"].admins}
    values = {"confirmed_at": now()} | ({"role_id": role(ADMIN).id} if user.email in admins else {})
    same = update(User).where(User.id == user.id, User.password_hash == user.password_hash)
    done = db.session.connection().execute(same.values(values))
    db.session.commit()
    return done.rowcount == 1


def check(email: str, password: str) -> User | None:
    """The confirmed user with that password. For an unknown address it takes as long."""
    user = User.find(email)
    right = check_password_hash(user.password_hash if user else unknown_hash(), password)
    return user if user and right and user.confirmed_at else None


@cache
def unknown_hash() -> str:
    """A hash to compare with where there is no user."""
    return generate_password_hash("nobody has this password")


def role(name: str) -> Role:
    """The role that `flask deploy` has inserted."""
    return db.session.scalars(select(Role).where(Role.name == name)).one()
