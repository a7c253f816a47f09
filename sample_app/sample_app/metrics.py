"""Numbers: /metrics for Prometheus, of all gunicorn workers of a release together, and StatsD."""

import hmac
import logging
import os
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, abort, current_app, request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector
from statsd import StatsClient

from sample_app import logs
from sample_app.config import Settings
from sample_app.extensions import csrf, limiter

blueprint = Blueprint("metrics", __name__)
csrf.exempt(blueprint)
limiter.exempt(blueprint)

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
REQUESTS = Counter("board_requests", "Requests by endpoint, method and code", ["endpoint", "method", "code"])
SECONDS = Histogram("board_request_seconds", "Time until the answer was ready", ["endpoint"])
POSTED = Counter("board_links_posted", "Links that users have posted")


def register(app: Flask) -> None:
    """Measure each request of `app`."""
    app.register_blueprint(blueprint)
    app.extensions["statsd"] = make_statsd(app.config["SETTINGS"])
    app.after_request(measure)


def make_statsd(settings: Settings) -> StatsClient | None:
    """A client of STATSD_URL: UDP, so nobody waits for it. A name that is unknown now stops no start."""
    if not settings.statsd_url:
        return None
    url = urlsplit(settings.statsd_url)
    try:
        return StatsClient(url.hostname, url.port or 8125, prefix=settings.packhorse_app or "sample-app")
    except OSError:
        logging.getLogger(__name__).exception("STATSD_URL: nothing is sent there")
        return None


def measure(response: Response) -> Response:
    """Count and time a request; no label is a text of the client's."""
    endpoint = request.endpoint or "none"
    method = request.method if request.method in METHODS else "other"
    code, seconds = str(response.status_code), logs.seconds()
    REQUESTS.labels(endpoint, method, code).inc()
    SECONDS.labels(endpoint).observe(seconds)
    if statsd := current_app.extensions["statsd"]:
        name = f"requests.{endpoint.replace('.', '_')}.{method}"
        statsd.incr(f"{name}.{code}")
        statsd.timing(name, seconds * 1000)
    return response


def count_posted() -> None:
    """Count a link that was posted: the number that the board is there for."""
    POSTED.inc()
    if statsd := current_app.extensions["statsd"]:
        statsd.incr("links.posted")


@blueprint.get("/metrics")
def show() -> Response:
    """All numbers, for who knows METRICS_TOKEN; without one, in development only.

    Addresses prove nothing here: every request that nginx passes on comes from this host.
    """
    settings: Settings = current_app.config["SETTINGS"]
    if settings.metrics_token is None:
        if settings.environment == "production":
            abort(404)
    else:
        wanted = f"Bearer {settings.metrics_token.get_secret_value()}"
        if not hmac.compare_digest(request.headers.get("Authorization", "").encode(), wanted.encode()):
            return Response(status=401, headers={"WWW-Authenticate": "Bearer"})
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
