"""Errors: the mail to administrators, and what Sentry gets."""

import gzip
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from sample_app.alerts import Background, Mail, Sparse, register
from sample_app.config import Settings
from support import environment, smtp_server, wait_until

# A program with a page that fails, and somebody who sends secrets to it.
BROKEN = """
from sample_app import create_app
app = create_app()
@app.post("/boom")
def boom():
    password = "hunter2"
    raise ZeroDivisionError("of the test")
from sample_app.extensions import csrf
csrf.exempt(boom)
client = app.test_client()
for _ in range({times}):
    client.set_cookie("session", "hunter2")
    answer = client.post(
        "/boom?token=hunter2",
        data={{"password": "hunter2"}},
        headers={{"Authorization": "Bearer hunter2", "X-Request-ID": "of-the-proxy-1"}},
    )
    assert answer.status_code == 500
    assert b"of the test" not in answer.data
"""
PRODUCTION = {"ENVIRONMENT": "production", "SECRET_KEY": "a key of the tests, never to be sent"}


def fail(folder: Path, times: int = 1, **more: str) -> str:
    """Let the application fail, and return its log."""
    done = subprocess.run(
        [sys.executable, "-c", BROKEN.format(times=times)],
        env=environment(folder, **PRODUCTION, **more),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_administrators_get_errors_by_mail_but_not_too_many(tmp_path: Path) -> None:
    """With the request's id and the traceback; sent when the process ends, too."""
    with smtp_server() as box:
        where = {"SMTP_URL": box.url, "PUBLIC_URL": "https://links.example.com"}
        fail(tmp_path, times=12, **where, ADMINS="ops@example.com, dev@example.com")
    assert len(box.mails) == 10
    mail = box.mails[0]
    assert mail["To"] == "ops@example.com, dev@example.com"
    text = mail.get_content()
    assert "ZeroDivisionError: of the test" in text
    assert "request_id: of-the-proxy-1" in text
    assert "path: /boom" in text
    assert "hunter2" not in str(mail).replace('password = "hunter2"', "")


def test_a_mail_server_that_is_away_makes_no_other_error(tmp_path: Path) -> None:
    """One warning in the log, and no loop of errors about errors."""
    where = {"SMTP_URL": "smtp://127.0.0.1:1", "PUBLIC_URL": "https://links.example.com"}
    log = fail(tmp_path, **where, ADMINS="ops@example.com")
    records = [json.loads(line) for line in log.splitlines()]
    assert [record["level"] for record in records if record["logger"] == "sample_app.alerts"] == ["warning"]
    assert sum(record["level"] == "error" for record in records) == 1


def test_an_error_that_cannot_be_mailed_stops_no_other_one(capsys: pytest.CaptureFixture[str]) -> None:
    """An exception would end the thread, and from then on nobody would hear of errors."""
    broken, surrogate = (logging.LogRecord("a", logging.ERROR, "", 1, text, (), None) for text in "b\ud800")
    with smtp_server() as box:
        settings = Settings(environment="testing", smtp_url=box.url, admins=("ops@example.com",))
        handler = Mail(settings)
        background = Background(handler)
        handler.settings = settings.model_copy(update={"mail_from": "a\nb"})
        background.handle(broken)
        wait_until("the first one is done", lambda: not background.queue.unfinished_tasks, 10)
        handler.settings = settings
        background.handle(surrogate)
        background.close()
    assert "ValueError" in capsys.readouterr().err
    assert [mail.get_content().strip() for mail in box.mails] == ["?"]


def test_another_application_in_the_same_process_leaves_no_thread_behind() -> None:
    """As with `flask run`, which loads the code again, and in tests."""
    settings = Settings(environment="testing", smtp_url="smtp://127.0.0.1", admins=("ops@example.com",))
    before = threading.active_count()
    for _ in range(3):
        register(settings)
    assert threading.active_count() == before + 1
    register(Settings(environment="testing"))
    assert threading.active_count() == before


def test_what_was_held_back_is_counted() -> None:
    """A quiet hour lets records pass again."""
    time = [0.0]
    sparse = Sparse(2, clock=lambda: time[0])
    record = logging.LogRecord("a", logging.ERROR, "", 1, "broke", (), None)
    assert [sparse.filter(record) for _ in range(5)] == [True, True, False, False, False]
    time[0] = 3601
    assert sparse.filter(record)
    assert vars(record)["held"] == 3


@contextmanager
def sentry() -> Iterator[tuple[str, list[bytes]]]:
    """A small ingest on loopback: its DSN, and the envelopes that it has received."""
    envelopes: list[bytes] = []

    class Ingest(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            zipped = self.headers.get("Content-Encoding") == "gzip"
            envelopes.append(gzip.decompress(body) if zipped else body)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Ingest) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://public@127.0.0.1:{server.server_port}/7", envelopes
        server.shutdown()
        thread.join()


def test_sentry_gets_an_error_with_its_release_and_nothing_private(tmp_path: Path) -> None:
    """A real envelope, of the real SDK."""
    with sentry() as (dsn, envelopes):
        fail(tmp_path, SENTRY_DSN=dsn, PACKHORSE_APP="shop", PACKHORSE_RELEASE="42")
    events = [
        item
        for envelope in envelopes
        for item in map(json.loads, envelope.splitlines())
        if "exception" in item
    ]
    [event] = events
    assert event["release"].startswith("shop@")
    assert event["release"].endswith("+42")
    assert event["environment"] == "production"
    assert event["request"] == {"method": "POST", "url": "http://127.0.0.1:8000/boom"}
    assert event["exception"]["values"][-1]["type"] == "ZeroDivisionError"
    text = json.dumps(event).replace('password = \\"hunter2\\"', "")
    assert "hunter2" not in text
    assert PRODUCTION["SECRET_KEY"] not in text
