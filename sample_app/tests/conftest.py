"""An application with an empty database of its own for each test."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sample_app.config import Settings
from sample_app.extensions import db
from werkzeug.test import TestResponse

from sample_app import create_app


@pytest.fixture(autouse=True)
def logging_as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undo what applications of other environments than `testing` do to the logs of this process."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers, root.level = handlers, level
    logging.captureWarnings(capture=False)


class Visitor(FlaskClient):
    """A client whose requests have a context each: Flask would use that of the test, with its `g`."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:  # noqa: ANN401
        """Send a request."""
        with self.application.app_context():
            return super().open(*args, **kwargs)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """What the application is made with."""
    return Settings(environment="testing", data_dir=tmp_path)


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """The application after `flask deploy`, inside its context."""
    made = create_app(settings)
    made.test_client_class = Visitor
    done = made.test_cli_runner().invoke(args=["deploy"])
    assert done.exit_code == 0, done.output
    with made.app_context():
        yield made
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser without a session."""
    return app.test_client()
