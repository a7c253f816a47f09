"""Settings: what the variables mean, and how they are refused."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError
from sample_app.config import ConfigurationError, Settings, load
from support import environment

from sample_app import create_app


def test_a_file_of_sqlite_may_be_named(tmp_path: Path) -> None:
    """As docs/twelve-factor.md does; a time limit for connecting is for servers."""
    url = f"sqlite:///{tmp_path / 'other.sqlite'}"
    app = create_app(Settings(environment="testing", data_dir=tmp_path, database_url=SecretStr(url)))
    done = app.test_cli_runner().invoke(args=["deploy"])
    assert done.exit_code == 0, done.output
    assert app.test_client().get("/readyz").status_code == 200
    assert (tmp_path / "other.sqlite").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "redis://:SECR/ETPW@127.0.0.1/0"),
        ("REDIS_URL", "redis://:1234/ETPW@127.0.0.1/0"),
        ("REDIS_URL", "redis://me:1234#ETPW@127.0.0.1"),
        ("REDIS_URL", "reddis://:SECRETPW@127.0.0.1/0"),
        ("SMTP_URL", "smtps://me:SECR/ETPW@127.0.0.1"),
        ("SMTP_URL", "smtps://me:SECR\u2100ETPW@127.0.0.1"),  # NFKC makes a slash of it
        ("STATSD_URL", "statsd://127.0.0.1:SECR"),
        ("SENTRY_DSN", "https://SECR/ETPW@127.0.0.1/1"),
        ("DATABASE_URL", "postgresql://me:SECR@ET:PW@127.0.0.1/x"),
        ("DATABASE_URL", "postgresql://me:SECRETPW@127.0.0.1:x/x"),
        ("DATABASE_URL", "postgrexql://me:SECRETPW@127.0.0.1/x"),
        ("DATABASE_URL", "SECRETPW"),
        ("PUBLIC_URL", "links.example.com"),
        ("PUBLIC_URL", "https://links.example.com:99999"),
    ],
)
def test_a_url_that_is_wrong_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """Libraries would say which part they can't read, and log a part of the password."""
    for variable, text in {"ENVIRONMENT": "testing", "PUBLIC_URL": "http://a.example", name: value}.items():
        monkeypatch.setenv(variable, text)
    with pytest.raises(ConfigurationError, match=f"^{name}: is no URL") as refused:
        load()
    assert not any(part in str(refused.value) for part in ("SECR", "ETPW", "1234"))


def test_a_key_that_can_be_guessed_is_refused_in_production() -> None:
    """32 characters, as the message asks for; development has a known one."""
    with pytest.raises(ValidationError, match="SECRET_KEY: is too short"):
        Settings(environment="production", secret_key="x" * 31)
    assert Settings(environment="production", secret_key="x" * 32).key == "x" * 32
    assert Settings(environment="development", secret_key="x").key == "x"


def test_the_release_phase_says_in_a_line_what_is_missing(tmp_path: Path) -> None:
    """A traceback would hide it."""
    command = [sys.executable, "-m", "flask", "--app", "sample_app", "deploy"]
    env = environment(tmp_path, ENVIRONMENT="production")
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("Error: SECRET_KEY: is missing")
