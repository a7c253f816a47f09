"""Jobs of the worker: what a request does not wait for.

What is to be done stands in the database (`confirmation_sent_at` is NULL until the mail is sent); the queue
only says when. So nothing is lost with a queue, or with a worker that was killed: what is not done yet is
queued again by each worker that starts, and by `flask cleanup`.
"""

import sqlite3
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from flask import Flask, current_app, render_template, url_for
from huey import Huey
from huey.serializer import SignedSerializer
from huey.storage import MemoryStorage, RedisStorage, SqliteStorage
from redis.exceptions import RedisError
from sqlalchemy import or_, select, update

from sample_app import mail
from sample_app.auth import confirmation
from sample_app.config import Settings
from sample_app.extensions import db
from sample_app.models import User, now


def register(app: Flask) -> None:
    """Give `app` its queue: in Redis, or in a file in `data_dir`, which the workers of this host share."""
    queue = make_queue(app.config["SETTINGS"])
    task = queue.task(retries=3, retry_delay=10, retry_backoff=3, name="send_confirmation")
    app.extensions["queue"] = queue
    app.extensions["send_confirmation"] = task(partial(in_context, app, deliver_confirmation))
    queue.on_startup("unsent")(partial(in_context, app, queue_unsent))


def make_queue(settings: Settings) -> Huey:
    """A queue whose messages, which Python unpickles, are signed: who writes to Redis runs no code here."""
    make = partial(Huey, "sample-app", results=False, serializer=SignedSerializer(settings.key, salt="jobs"))
    if settings.environment == "testing":
        return make(immediate=True, storage_class=MemoryStorage)
    if settings.redis_url:
        return make(storage_class=RedisStorage, url=settings.redis_url.get_secret_value())
    return make(storage_class=SqliteStorage, filename=settings.data_dir / "queue.sqlite")


def in_context(app: Flask, function: Callable[..., None], *arguments: int) -> None:
    """Call `function` with the application, and with a session of the database that ends with it."""
    with app.app_context():
        function(*arguments)


def send_confirmation(user_id: int, delay: int = 0) -> None:
    """Let the worker send the mail to a user who is committed. Never fails: see `queue_unsent`."""
    try:
        current_app.extensions["send_confirmation"].schedule((user_id,), delay=delay)
    except (RedisError, sqlite3.Error) as error:
        current_app.logger.warning("the queue does not answer: %s", type(error).__name__)


def queue_unsent() -> None:
    """Queue again the mails that were not sent; those that a worker was at, when it would have given up."""
    for user_id, claimed in db.session.execute(select(User.id, User.confirmation_claimed_at).where(*UNSENT)):
        left = CLAIM - (now() - claimed).total_seconds() if claimed else 0
        send_confirmation(user_id, max(0, int(left)))


UNSENT = (User.confirmation_sent_at.is_(None), User.confirmed_at.is_(None))
CLAIM = 180
"""Seconds that a worker has for a mail: more than all answers of a slow server take (`mail.TIMEOUT`)."""


def deliver_confirmation(user_id: int) -> None:
    """Send the mail, unless it was, or another worker is at it. Meanwhile nothing is locked."""
    mine = or_(
        User.confirmation_claimed_at.is_(None),
        User.confirmation_claimed_at <= now() - timedelta(seconds=CLAIM),
    )
    claim = update(User).where(User.id == user_id, *UNSENT, mine).values(confirmation_claimed_at=now())
    claimed = db.session.connection().execute(claim).rowcount
    db.session.commit()
    if not claimed:
        return
    user = db.session.get_one(User, user_id)
    url, address = url_for("auth.confirm", token=confirmation.token(user), _external=True), user.email
    db.session.rollback()
    settings: Settings = current_app.config["SETTINGS"]
    text = render_template("mail/confirm.txt", url=url)
    sent = None
    try:
        mail.send(settings, address, f"Confirm your address for {settings.site_name}", text)
        sent = now()
    finally:  # what failed may be tried again at once
        done = update(User).where(User.id == user_id, *UNSENT)
        db.session.execute(done.values(confirmation_claimed_at=None, confirmation_sent_at=sent))
        db.session.commit()
