"""Counters and histograms of this process. Any module may count; no label is a text of a client's."""

import functools
import threading

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

disable_created_metrics()  # half of all lines
PREFIX = "packhorse_mirror"
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

KINDS = ("page", "file", "metadata", "upload", "api", "other")
_NOT_NGINX = "What nginx sends from the disk is not seen here."
REQUESTS = Counter(
    f"{PREFIX}_requests",
    "Requests that devpi-server answered, by kind and result: hit (from what is here), miss (an upstream was"
    f" asked), stale (the upstream failed), ok, not_found, denied, refused, error. {_NOT_NGINX}",
    ["kind", "result"],
    registry=REGISTRY,
)
SECONDS = Histogram(
    f"{PREFIX}_request_seconds",
    f"Seconds from the start of a request in a thread to the head of its answer. {_NOT_NGINX}",
    ["kind", "result"],
    registry=REGISTRY,
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
SAVED = Counter(
    f"{PREFIX}_saved_bytes",
    f"Bytes of pages, files and metadata sent without asking an upstream. {_NOT_NGINX}",
    registry=REGISTRY,
)
UPSTREAM_SECONDS = Histogram(
    f"{PREFIX}_upstream_seconds",
    "Seconds until an upstream, or the primary of a replica, sent the head of its answer.",
    registry=REGISTRY,
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
UPSTREAM_REQUESTS = Counter(
    f"{PREFIX}_upstream_requests",
    "Requests to upstreams: ok, not_found, error (an answer that is no use), unreachable (none, or cut off).",
    ["result"],
    registry=REGISTRY,
)
UPSTREAM_BYTES = Counter(
    f"{PREFIX}_upstream_bytes", "Bytes of bodies that came from upstreams.", registry=REGISTRY
)
DENIALS = Counter(
    f"{PREFIX}_denials",
    "What was denied, by the rule that denied it: login, permission, throttle, or the name of a policy.",
    ["rule"],
    registry=REGISTRY,
)
AUDIT_LOST = Counter(
    f"{PREFIX}_audit_lost", "Events that could not be written to the audit log.", registry=REGISTRY
)
WEBHOOKS = Counter(
    f"{PREFIX}_webhooks",
    "Deliveries to webhooks: delivered, failed (tried again later), dropped (never delivered).",
    ["result"],
    registry=REGISTRY,
)
QUEUE = Gauge(
    f"{PREFIX}_queue_length",
    "What waits: requests for a thread (by lane), changes for the database, pages for their upstream or to be"
    " parsed.",
    ["queue"],
    registry=REGISTRY,
)
INFO = Gauge(
    f"{PREFIX}_info", "1, with versions and role.", ["packhorse", "devpi_server", "role"], registry=REGISTRY
)


class _OfThread(threading.local):
    """The kind of answer that this thread's request has got so far: "hit", "miss" or "stale"."""

    source = "hit"


_of_thread = _OfThread()


def start() -> None:
    """Begin a request in this thread."""
    _of_thread.source = "hit"


def asked_upstream() -> None:
    """Note that the request of this thread needs an upstream."""
    _of_thread.source = "miss"


def shown_stale() -> None:
    """Note that the request of this thread is answered with what an upstream could not confirm."""
    _of_thread.source = "stale"


def answered(kind: str, status: str, seconds: float, size: int) -> None:
    """Count the request of this thread: `status` as in "200 OK", seconds, bytes of its body."""
    result = _of_thread.source if kind in _CACHED and status[:3] in _SUCCESS else _result(status)
    requests, histogram = _children(kind, result)
    requests.inc()
    histogram.observe(seconds)
    if result == "hit":
        SAVED.inc(size)


def denied(rule: str) -> None:
    """Count a denial. `rule` is a word of ours, or the name of a policy in mirror.toml; never a client's."""
    DENIALS.labels(rule).inc()


_CACHED = {"page", "file", "metadata"}
_SUCCESS = {"200", "206", "304"}
_RESULTS = {"401": "denied", "403": "denied", "429": "denied", "404": "not_found", "410": "not_found"}
_CLASSES = {"4": "refused", "5": "error"}


def _result(status: str) -> str:
    return _RESULTS.get(status[:3]) or _CLASSES.get(status[:1], "ok")


@functools.cache
def _children(kind: str, result: str) -> tuple[Counter, Histogram]:
    return REQUESTS.labels(kind, result), SECONDS.labels(kind, result)


def kind_of(method: str, path: str, content_type: str) -> str:
    """Kind of a request: one of KINDS."""
    if "/+simple/" in path:
        return "page"
    if "/+f/" in path or "/+e/" in path:
        return "metadata" if path.endswith(".metadata") else "file"
    if method == "POST" and content_type.startswith("multipart/"):
        return "upload"
    return "api" if "/+" in path or method not in {"GET", "HEAD"} else "other"
