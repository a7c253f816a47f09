"""How requests are counted."""

import pytest

from mirror.plugin.metrics import counters


@pytest.mark.parametrize(
    ("method", "path", "content_type", "kind"),
    [
        ("GET", "/company/dev/+simple/flask/", "", "page"),
        ("GET", "/root/pypi/+f/abc/0123456789abc/flask-3.0-py3-none-any.whl", "", "file"),
        ("HEAD", "/root/pypi/+e/files/flask-3.0.tar.gz", "", "file"),
        ("GET", "/root/pypi/+f/abc/0123456789abc/flask-3.0-py3-none-any.whl.metadata", "", "metadata"),
        ("POST", "/company/dev/", "multipart/form-data; boundary=x", "upload"),
        ("POST", "/company/dev", "application/json", "api"),
        ("POST", "/+login", "application/json", "api"),
        ("GET", "/+api", "", "api"),
        ("DELETE", "/company/dev/flask/3.0", "", "api"),
        ("GET", "/company/dev", "", "other"),
        ("", "", "", "api"),
    ],
)
def test_each_request_has_a_kind(method: str, path: str, content_type: str, kind: str) -> None:
    """Also one that waitress could not read."""
    assert counters.kind_of(method, path, content_type) == kind
    assert kind in counters.KINDS


def count(kind: str, result: str) -> float:
    return (
        counters.REGISTRY.get_sample_value(
            "packhorse_mirror_requests_total", {"kind": kind, "result": result}
        )
        or 0.0
    )


@pytest.mark.parametrize(
    ("kind", "status", "result"),
    [
        ("page", "200 OK", "hit"),
        ("page", "304 Not Modified", "hit"),
        ("file", "206 Partial Content", "hit"),
        ("page", "302 Found", "ok"),
        ("api", "200 OK", "ok"),
        ("page", "404 Not Found", "not_found"),
        ("upload", "403 Forbidden", "denied"),
        ("api", "429 Too Many Requests", "denied"),
        ("upload", "409 Conflict", "refused"),
        ("page", "503 Service Unavailable", "error"),
    ],
)
def test_each_answer_has_a_result(kind: str, status: str, result: str) -> None:
    """Hits and misses are of what is cached; an upload that is taken is neither."""
    before = count(kind, result)
    counters.start()
    counters.answered(kind, status, 0.001, 10)
    assert count(kind, result) == before + 1


def test_an_upstream_makes_a_miss_and_its_failure_a_stale_answer_until_the_next_request() -> None:
    """A thread answers many requests, one after the other."""
    before = [count("page", result) for result in ("hit", "miss", "stale")]
    for note in ((), (counters.asked_upstream,), (counters.asked_upstream, counters.shown_stale)):
        counters.start()
        for each in note:
            each()
        counters.answered("page", "200 OK", 0.001, 10)
    after = [count("page", result) for result in ("hit", "miss", "stale")]
    assert [new - old for new, old in zip(after, before, strict=True)] == [1, 1, 1]


def test_only_hits_save_bytes() -> None:
    """What was fetched for the answer is not saved."""
    saved = counters.REGISTRY.get_sample_value("packhorse_mirror_saved_bytes_total") or 0
    counters.start()
    counters.answered("file", "200 OK", 0.001, 1000)
    counters.asked_upstream()
    counters.answered("file", "200 OK", 0.001, 500)
    assert counters.REGISTRY.get_sample_value("packhorse_mirror_saved_bytes_total") == saved + 1000
