"""Logs on stdout, one record for each request: JSON, one object a line; readable text in development."""

import json
import logging
import re
import sys
import time
import uuid
from datetime import UTC, datetime
from types import TracebackType
from typing import TextIO
from urllib.parse import quote

from flask import Flask, Response, g, has_request_context, request
from gunicorn.glogging import Logger
from sqlalchemy import inspect

from sample_app import config

ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
"""Request ids of a proxy that are taken over; other text would be a stranger's in our logs and headers."""
QUIET = frozenset({"health.healthz", "health.readyz", "metrics.show", "static"})
"""Endpoints whose requests are logged only when they fail: something asks them all the time."""


def configure(settings: config.Settings) -> None:
    """Let all loggers of this process write to stdout; in tests they are pytest's."""
    if settings.environment == "testing":
        return
    root = logging.getLogger()
    root.setLevel(settings.log_level)
    for handler in [there for there in root.handlers if isinstance(there, Stdout)]:
        root.removeHandler(handler)
    root.addHandler(Stdout(Text() if settings.environment == "development" else Json()))
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)  # five lines at each start
    # At INFO it names the token of a mail, or an address; the request with its 429 has a line of its own.
    logging.getLogger("flask-limiter").setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    sys.excepthook = log_crash


def register(app: Flask) -> None:
    """Log each request of `app`, and answer with its id."""
    configure(app.config["SETTINGS"])
    app.before_request(start_clock)
    app.after_request(log_request)


def start_clock() -> None:
    """Take the time when a request begins."""
    g.started = time.perf_counter()


def log_request(response: Response) -> Response:
    """One record for `response`, with what `context` knows of the request."""
    response.headers["X-Request-ID"] = request_id()
    level = logging.INFO if response.status_code < 500 else logging.WARNING
    if request.endpoint not in QUIET or level > logging.INFO:
        extra = {"status": response.status_code, "duration": round(seconds(), 4)}
        message = f"{request.method} {quote(request.path)} {response.status_code}"
        logging.getLogger("sample_app.requests").log(level, message, extra=extra)
    return response


def seconds() -> float:
    """How long this request has taken until now."""
    return float(time.perf_counter() - g.get("started", time.perf_counter()))


def request_id() -> str:
    """The id that a proxy gave to this request, if it looks like one, or a new one."""
    if "request_id" not in g:
        given = request.headers.get("X-Request-ID", "")
        g.request_id = given if ID.fullmatch(given) else uuid.uuid4().hex
    return str(g.request_id)


def context() -> dict[str, object]:
    """What a record of a request has beside its message: no query and no headers, in which secrets travel."""
    if not has_request_context():
        return {}
    known: dict[str, object] = {
        "request_id": request_id(),
        "method": request.method,
        "path": quote(request.path),
    }
    user = g.get("_login_user")  # flask-login's, if the request has asked for it: no query for a log
    if user is not None and user.is_authenticated:
        known["user"] = inspect(user).identity[0]
    return known


class Stdout(logging.StreamHandler[TextIO]):
    """Writes to what is `sys.stdout` now."""

    def __init__(self, formatter: logging.Formatter) -> None:
        logging.Handler.__init__(self)
        self.setFormatter(formatter)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """Where records go."""
        return sys.stdout


class Json(logging.Formatter):
    """One line for each record; a traceback is one field of it."""

    def format(self, record: logging.LogRecord) -> str:
        """`record` as JSON."""
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **context(),
        }
        fields |= {name: vars(record)[name] for name in ("status", "duration") if name in vars(record)}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str)


class Text(logging.Formatter):
    """Lines for people: Packhorse adds the time, `flask run` needs none."""

    def __init__(self) -> None:
        super().__init__("%(levelname)-7s %(name)s: %(message)s")


def log_crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Log what nobody has caught: `sys.excepthook`."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logging.getLogger("sample_app").critical("ended by %s", kind.__name__, exc_info=(kind, error, trace))


class GunicornLogger(Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's records, written as those of the application; requests are logged by the application."""

    def setup(self, cfg: object) -> None:
        """Called by gunicorn in its first process, and when it is told to read its configuration again."""
        super().setup(cfg)
        configure(config.load())
        self.error_log.handlers.clear()
        self.error_log.propagate = True
