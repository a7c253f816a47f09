"""Jobs: a worker of its own, with a real SMTP server."""

import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sample_app.config import Settings
from sample_app.extensions import db
from sample_app.models import Link, Role, Token, User, now
from sqlalchemy import func, select
from support import Postbox, free_port, needs, program, smtp_server, started, wait_until

from sample_app import create_app, jobs

WORKER = ("flask", "--app", "sample_app", "worker")


@pytest.fixture
def postbox() -> Iterator[Postbox]:
    """A mail server."""
    with smtp_server() as box:
        yield box


@pytest.fixture
def board(app: Flask, tmp_path: Path, postbox: Postbox) -> Iterator[Flask]:
    """The application as it runs in development: on the database of `app`, with a queue in a file."""
    assert app.testing
    made = create_app(Settings(environment="development", data_dir=tmp_path, smtp_url=postbox.url))
    with made.app_context():
        yield made
        db.session.remove()
        db.engine.dispose()


def sign_up(email: str = "anna@example.com", **more: object) -> User:
    """A user in the database."""
    role = db.session.scalar(select(Role).limit(1))
    user = User(email=email, name="Anna", password_hash="-", role=role, **more)
    db.session.add(user)
    db.session.commit()
    return user


def sent(user: User) -> bool:
    """Whether the database has it that the mail is sent."""
    db.session.expire_all()
    return user.confirmation_sent_at is not None


def test_the_worker_sends_the_mail_whose_link_confirms_the_address(
    board: Flask, postbox: Postbox, tmp_path: Path
) -> None:
    """From sign-up to a confirmed address, over a queue in a file and SMTP."""
    user = sign_up()
    with program(tmp_path, *WORKER, SMTP_URL=postbox.url):
        jobs.send_confirmation(user.id)
        wait_until("the mail is sent", lambda: sent(user))
    [mail] = postbox.mails
    assert (mail["To"], mail["From"]) == ("anna@example.com", "links@example.com")
    found = re.search(r"http://127\.0\.0\.1:8000(/auth/confirm\?token=\S+)", mail.get_content())
    assert found
    assert "anna@example.com" in board.test_client().get(found[1]).text
    assert board.test_client().get(f"{found[1]}x").status_code == 404


def test_a_worker_that_is_told_to_end_finishes_the_job_at_hand(
    board: Flask, postbox: Postbox, tmp_path: Path
) -> None:
    """Packhorse sends TERM when it deploys."""
    assert board
    first, second = sign_up(), sign_up("ben@example.com")
    postbox.opened.clear()
    with program(tmp_path, *WORKER, SMTP_URL=postbox.url) as worker:
        assert postbox.waiting.wait(30)
        worker.send_signal(signal.SIGTERM)
        log = tmp_path / "flask.log"
        wait_until("the worker has heard it", lambda: "Shutting down gracefully" in log.read_text())
        assert worker.poll() is None
        postbox.opened.set()
        assert worker.wait(30) == 0
    assert [mail["To"] for mail in postbox.mails] == [first.email]
    assert sent(first)
    assert not sent(second)


def test_a_mail_is_sent_although_its_worker_was_killed(
    board: Flask, postbox: Postbox, tmp_path: Path
) -> None:
    """By then the job was out of the queue; the next worker finds it in the database, and waits for the time
    that the other one had."""
    assert board
    user = sign_up()
    postbox.opened.clear()
    with program(tmp_path, *WORKER, SMTP_URL=postbox.url) as worker:
        assert postbox.waiting.wait(30)
        worker.kill()
        worker.wait()
    assert not sent(user)
    assert user.confirmation_claimed_at
    user.confirmation_claimed_at -= timedelta(seconds=jobs.CLAIM)
    db.session.commit()
    postbox.opened.set()
    with program(tmp_path, *WORKER, SMTP_URL=postbox.url):
        wait_until("the mail is sent", lambda: sent(user))


def test_a_mail_that_the_server_refuses_is_not_lost(board: Flask, tmp_path: Path) -> None:
    """Signing up works without the mail server; `flask cleanup` queues again what was not sent."""
    user = sign_up()
    with program(tmp_path, *WORKER, SMTP_URL="smtp://127.0.0.1:1"):
        log = tmp_path / "flask.log"
        wait_until("the mail failed", lambda: "ConnectionRefusedError" in log.read_text())
    assert not sent(user)
    queue = board.extensions["queue"]
    queue.flush()
    assert board.test_cli_runner().invoke(args=["cleanup"]).exit_code == 0
    assert queue.pending_count() == 1


def test_a_queue_that_does_not_answer_stops_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The user is in the database: the mail goes later."""
    made = create_app(
        Settings(environment="development", data_dir=tmp_path, redis_url="redis://:secret@127.0.0.1:1/0")
    )
    with made.app_context():
        jobs.send_confirmation(1)
    assert "the queue does not answer: ConnectionError" in caplog.text
    assert "secret" not in caplog.text


def test_messages_that_are_not_signed_are_not_read(board: Flask) -> None:
    """They are pickles: reading one of a stranger would run code of the stranger's."""
    queue = board.extensions["queue"]
    queue.storage.enqueue(b"cos\nsystem\n(S'false'\ntR.:0123")
    with pytest.raises(ValueError, match="mismatch"):
        queue.dequeue()


def test_two_workers_send_a_mail_once_and_lock_nothing_meanwhile(board: Flask, postbox: Postbox) -> None:
    """SQLite locks no rows; and what a server locks, others wait for as long as a mail server is slow."""
    number = sign_up().id
    postbox.opened.clear()

    def deliver() -> None:
        jobs.in_context(board, jobs.deliver_confirmation, number)

    with ThreadPoolExecutor() as threads:
        first = threads.submit(deliver)
        assert postbox.waiting.wait(30)
        deliver()
        sign_up("ben@example.com")  # writes
        postbox.opened.set()
        first.result(30)
    assert len(postbox.mails) == 1
    assert sent(db.session.get_one(User, number))


def test_a_mail_whose_worker_was_killed_waits_for_the_end_of_its_claim(board: Flask) -> None:
    """Else two workers could send it; no other mail waits."""
    sign_up(confirmation_claimed_at=now())
    sign_up("ben@example.com")
    jobs.queue_unsent()
    queue = board.extensions["queue"]
    waiting = sorted(queue.ready_to_run(queue.dequeue()) for _ in range(2))
    assert waiting == [False, True]


def test_cleanup_deletes_accounts_that_nobody_confirmed(app: Flask) -> None:
    """With their tokens; those with links, young and confirmed ones stay; a second time nothing happens.

    A link in a mail is good for a week, in the second mail, too.
    """
    old = now() - timedelta(days=8)
    gone = sign_up(created_at=old)
    db.session.add(Token.make(gone, "cli")[0])
    sign_up("confirmed@example.com", created_at=old, confirmed_at=now())
    sign_up("mailed-long-ago@example.com", created_at=old, confirmation_sent_at=old)
    sign_up("mailed@example.com", created_at=old, confirmation_sent_at=now())
    sign_up("young@example.com")
    posted = sign_up("posted@example.com", created_at=old)
    db.session.add(Link(url="https://example.com", title="x", user=posted))
    db.session.commit()
    for _ in range(2):
        done = app.test_cli_runner().invoke(args=["cleanup"])
        assert done.exit_code == 0, done.output
        left = sorted(db.session.scalars(select(User.email)))
        assert [email.partition("@")[0] for email in left] == ["confirmed", "mailed", "posted", "young"]
        assert db.session.scalar(select(func.count()).select_from(Token)) == 0


@needs("redis-server")
def test_hosts_share_a_queue_in_redis(app: Flask, postbox: Postbox, tmp_path: Path) -> None:
    """With a URL and the rights that `release services` gives: no administration."""
    assert app.testing
    port = free_port()
    rights = ["--user", "board__a", "on", ">of-redis", "~*", "&*", "+@all", "-@admin", "+config|get"]
    redis = ("redis-server", "--port", str(port), "--save", "", "--dir", str(tmp_path), *rights)
    url = f"redis://board__a:of-redis@127.0.0.1:{port}/0"
    settings = Settings(environment="development", data_dir=tmp_path, smtp_url=postbox.url, redis_url=url)
    with started(tmp_path, *redis), create_app(settings).app_context():
        user = sign_up()
        wait_until("redis answers", lambda: "Ready to accept" in (tmp_path / "redis-server.log").read_text())
        jobs.send_confirmation(user.id)
        with program(tmp_path, *WORKER, SMTP_URL=postbox.url, REDIS_URL=url) as worker:
            wait_until("the mail is sent", lambda: sent(user))
            second = sign_up("ben@example.com")
            jobs.send_confirmation(second.id)
            wait_until("the second mail is sent", lambda: sent(second))
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(30) == 0
        db.session.remove()
        db.engine.dispose()
