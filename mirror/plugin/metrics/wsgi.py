"""WSGI middleware: answer /+health, /+ready and /+metrics without pyramid, a login or a transaction."""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from mirror.plugin.metrics.readers import MetricsReaders
from mirror.plugin.metrics.readiness import Readiness

HEALTH, READY, METRICS = "/+health", "/+ready", "/+metrics"
ADDRESSES = (HEALTH, READY, METRICS)
MonitoringAnswer = tuple[str, str, bytes]  # status, type, body
_TEXT = "text/plain; charset=utf-8"


class MonitoringMiddleware:
    """Answers three addresses, and lets `app` answer all others."""

    def __init__(
        self, app: Any, readiness: Readiness, readers: MetricsReaders, registries: Sequence[CollectorRegistry]
    ) -> None:
        self._app = app
        self._readiness = readiness
        self._readers = readers
        self._registries = registries

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """WSGI (PEP 3333)."""
        if environ["PATH_INFO"] not in ADDRESSES:
            return self._app(environ, start_response)  # type: ignore[no-any-return]
        status, content_type, body = self._answer(environ)
        length = ("Content-Length", str(len(body)))
        start_response(status, [("Content-Type", content_type), ("Cache-Control", "no-store"), length])
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]

    def _answer(self, environ: dict[str, Any]) -> MonitoringAnswer:
        if environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
            return "405 Method Not Allowed", _TEXT, b"GET or HEAD\n"
        if environ["PATH_INFO"] == HEALTH:
            return "200 OK", _TEXT, b"ok\n"
        if environ["PATH_INFO"] == READY:
            problems = self._readiness.problems()
            status = "503 Service Unavailable" if problems else "200 OK"
            body = {"ready": not problems, "problems": problems}
            return status, "application/json", json.dumps(body).encode() + b"\n"
        if not self._readers.may_read(environ, is_local=environ.get("packhorse.is_local", False)):
            text = "Metrics are for this machine, and for whom [metrics] in mirror.toml names.\n"
            return "403 Forbidden", _TEXT, text.encode()
        return "200 OK", CONTENT_TYPE_LATEST, b"".join(map(generate_latest, self._registries))


def install(
    pyramid_config: Any,
    readiness: Readiness,
    readers: MetricsReaders,
    registries: Sequence[CollectorRegistry],
) -> None:
    """Wrap the application that devpi is about to make of `pyramid_config`."""
    make_wsgi_app = pyramid_config.make_wsgi_app
    pyramid_config.make_wsgi_app = lambda: MonitoringMiddleware(
        make_wsgi_app(), readiness, readers, registries
    )
