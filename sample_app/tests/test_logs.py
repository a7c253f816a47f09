"""Logs: what the programs of the application write to stdout."""

import http.client
import json
import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sample_app.config import Settings
from sample_app.extensions import limiter
from support import environment, free_port, program, wait_until

from sample_app import create_app, logs

PRODUCTION = {"ENVIRONMENT": "production", "SECRET_KEY": "a key of the tests, never to be logged"}
SITE = ("gunicorn", "--config", "python:sample_app.gunicorn_config")


def get(port: int, path: str, **headers: str) -> http.client.HTTPResponse:
    """The answer of a server on loopback."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers={name.replace("_", "-"): headers[name] for name in headers})
    return connection.getresponse()


@pytest.fixture
def lines(app: Flask, tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A site of two gunicorn workers: its port, and what it writes."""
    assert app.testing
    port = free_port()
    arguments = (*SITE, "--bind", f"127.0.0.1:{port}", "sample_app:create_app()")
    with program(tmp_path, *arguments, **PRODUCTION) as process:
        log = tmp_path / "gunicorn.log"
        wait_until("workers boot", lambda: log.read_text().count("Booting worker") == 2)
        yield port, log
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_each_line_of_a_site_is_one_object(lines: tuple[int, Path]) -> None:
    """gunicorn's own lines too; a request has one line, with the id that it was given, and no query."""
    port, log = lines
    answer = get(port, "/?password=hunter2", X_Request_ID="of-the-proxy-1", Cookie="session=hunter2")
    assert (answer.status, answer.headers["X-Request-ID"]) == (200, "of-the-proxy-1")
    assert get(port, "/nothing%0a%22here").status == 404
    assert get(port, "/healthz").status == 200
    records = [json.loads(line) for line in log.read_text().splitlines()]
    assert {"gunicorn.error", "sample_app.requests"} == {record["logger"] for record in records}
    first, second = (record for record in records if record["logger"] == "sample_app.requests")
    assert first.pop("duration") < 30
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "level": "info",
        "logger": "sample_app.requests",
        "message": "GET / 200",
        "request_id": "of-the-proxy-1",
        "method": "GET",
        "path": "/",
        "status": 200,
    }
    assert second["path"] == "/nothing%0A%22here"
    assert len(second["request_id"]) == 32
    assert "hunter2" not in log.read_text()
    assert PRODUCTION["SECRET_KEY"] not in log.read_text()


@pytest.mark.parametrize(
    "given", ["short", "x" * 65, "with space", 'quo"te-is-here', "ünïcödé-name", "a,b,c,d,e"]
)
def test_an_id_that_is_not_sane_is_replaced(app: Flask, given: str) -> None:
    """What a client sends must not stand in our log as it is."""
    answer = app.test_client().get("/healthz", headers={"X-Request-ID": given})
    assert answer.headers["X-Request-ID"] != given
    assert len(answer.headers["X-Request-ID"]) == 32


def test_a_limit_that_is_reached_names_no_token_and_no_address(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The token of a mail is still good then; flask-limiter would log what it counts by."""
    app = create_app(Settings(environment="development", data_dir=tmp_path))
    app.config["WTF_CSRF_ENABLED"] = False
    client = app.test_client()
    for path in ("/auth/confirm?token=hunter2", "/auth/resend"):
        limiter.reset()
        codes = [client.post(path, data={"email": "hunter2@"}).status_code for _ in range(11)]
        assert codes[-1] == 429
    output = capsys.readouterr().out
    assert output.count(" 429") == 2
    assert "hunter2" not in output


def test_a_traceback_is_one_field(app: Flask) -> None:
    """A line of a log is a record, for whatever reads it."""
    with app.test_request_context("/boom?token=x", method="POST"):
        try:
            json.loads("one\ntwo")
        except ValueError:
            record = logging.LogRecord("a", logging.ERROR, "", 1, "it %s", ("broke",), sys.exc_info())
        [line] = logs.Json().format(record).splitlines()
    fields = json.loads(line)
    assert fields["message"] == "it broke"
    assert fields["exception"].startswith("Traceback (most recent call last):\n")
    assert (fields["method"], fields["path"]) == ("POST", "/boom")


def test_commands_write_objects_too(tmp_path: Path) -> None:
    """The release phase: migrations, and an end by an error."""
    command = [sys.executable, "-m", "flask", "--app", "sample_app", "deploy"]
    env = environment(tmp_path, **PRODUCTION)
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert records[-1]["message"] == "the database is ready"
    assert any(record["logger"].startswith("alembic") for record in records)
    failed = subprocess.run(
        command,
        env={**env, "DATABASE_URL": "postgresql://me:hunter2@127.0.0.1:1/x"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert failed.returncode == 1
    [line] = failed.stdout.splitlines()
    assert "OperationalError" in json.loads(line)["exception"]
    assert "hunter2" not in failed.stdout + failed.stderr


def test_a_site_behind_a_proxy_that_it_does_not_believe_says_so(tmp_path: Path) -> None:
    """All visitors would be one client to it, for the limits of signing in."""
    arguments = (*SITE, "--bind", f"unix:{tmp_path / 'socket'}", "sample_app:create_app()")
    with program(tmp_path, *arguments, **PRODUCTION):
        log = tmp_path / "gunicorn.log"
        wait_until("workers boot", lambda: log.read_text().count("Booting worker") == 2)
        assert log.read_text().count("PROXIES is 0") == 1


def test_a_missing_variable_is_said_once(tmp_path: Path) -> None:
    """Not by a traceback of each worker of gunicorn."""
    done = subprocess.run(
        [sys.executable, "-m", *SITE, "sample_app:create_app()"],
        env=environment(tmp_path, ENVIRONMENT="production"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("SECRET_KEY: is missing")
    assert "Traceback" not in done.stderr
