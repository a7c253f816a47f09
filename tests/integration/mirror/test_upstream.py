"""The misbehaving upstream itself: what other tests conclude from it must be true."""

import io
import json
import threading
import time
import zipfile
from collections.abc import Iterator

import pytest
import requests
from packaging.metadata import Metadata

from tests.support import faults
from tests.support.dists import broken_wheel, sdist, wheel
from tests.support.upstream import JSON, Listed, Upstream

DEMO = wheel("demo", "1.0", requires=["other>=1"], padding=5000)
PATH = f"/files/{DEMO.filename}"


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """One project, one wheel."""
    with Upstream() as running:
        running.add("Demo", Listed(DEMO, yanked="bad", requires_python=">=3.8"))
        yield running


def _get(upstream: Upstream, path: str, **headers: str) -> requests.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.get(f"http://127.0.0.1:{upstream.port}{path}", headers=named, timeout=10)


def test_a_page_is_json_or_html_as_accepted_or_as_switched(upstream: Upstream) -> None:
    """The product must read old and new indexes."""
    page = _get(upstream, "/simple/demo/", Accept=JSON)
    entry = page.json()["files"][0]
    assert (entry["size"], entry["yanked"], entry["hashes"]) == (
        len(DEMO.content),
        "bad",
        {"sha256": DEMO.sha256},
    )
    assert 'data-requires-python="&gt;=3.8"' in _get(upstream, "/simple/demo/").text
    upstream.style = "html"
    assert _get(upstream, "/simple/demo/", Accept=JSON).headers["Content-Type"] == "text/html"
    assert _get(upstream, "/simple/absent/").status_code == 404


def test_a_page_is_validated_by_its_etag(upstream: Upstream) -> None:
    """Conditional requests are how a mirror asks again."""
    etag = _get(upstream, "/simple/demo/").headers["ETag"]
    assert _get(upstream, "/simple/demo/", If_None_Match=etag).status_code == 304


def test_files_are_served_whole_or_in_ranges(upstream: Upstream) -> None:
    """Range reads are how metadata is found without the file."""
    assert _get(upstream, PATH).content == DEMO.content
    part = _get(upstream, PATH, Range="bytes=-10")
    assert (part.status_code, part.content) == (206, DEMO.content[-10:])
    assert _get(upstream, PATH, Range="bytes=2-3").content == DEMO.content[2:4]
    assert _get(upstream, PATH, Range=f"bytes={len(DEMO.content)}-").status_code == 416
    upstream.ranges = False
    assert _get(upstream, PATH, Range="bytes=-10").content == DEMO.content
    assert _get(upstream, f"{PATH}.metadata").content == DEMO.metadata
    upstream.metadata = False
    assert _get(upstream, f"{PATH}.metadata").status_code == 404


def test_made_distributions_are_real_ones() -> None:
    """pip and uv must accept what is made here, and METADATA must parse."""
    archive = zipfile.ZipFile(io.BytesIO(DEMO.content))
    assert archive.read("demo-1.0.dist-info/METADATA") == DEMO.metadata
    assert archive.testzip() is None
    assert [str(r) for r in Metadata.from_email(DEMO.metadata).requires_dist or []] == ["other>=1"]
    assert sdist("demo", "1.0").filename == "demo-1.0.tar.gz"
    assert not zipfile.is_zipfile(io.BytesIO(broken_wheel("demo", "1.0", "garbage").content))


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (faults.status(503, Retry_After="7"), 503),
        (faults.redirect("/simple/demo/"), 200),
        (faults.garbage, 200),
    ],
)
def test_a_fault_changes_the_answer_so_many_times(
    upstream: Upstream, fault: faults.Fault, status: int
) -> None:
    """Tests of recovery need a fault that ends."""
    upstream.fail(PATH, fault, times=1)
    first = _get(upstream, PATH)
    assert first.status_code == status
    assert first.content != DEMO.content
    assert _get(upstream, PATH).content == DEMO.content


def test_a_truncated_body_and_a_dropped_connection_break_the_transfer(upstream: Upstream) -> None:
    """A client must be able to see these two."""
    for fault in (faults.truncated, faults.dropped):
        upstream.fail("/files/*", fault)
        with pytest.raises(requests.RequestException):
            _get(upstream, PATH)


def test_a_held_answer_waits_for_the_test(upstream: Upstream) -> None:
    """Parallel downloads are made deterministic with this."""
    gate = threading.Event()
    upstream.fail(PATH, faults.held(gate, at=100))
    with requests.get(f"http://127.0.0.1:{upstream.port}{PATH}", stream=True, timeout=10) as answer:
        assert len(answer.raw.read(100)) == 100
        gate.set()
        assert answer.raw.read() == DEMO.content[100:]


def test_while_refusing_even_kept_connections_are_gone(upstream: Upstream) -> None:
    """An upstream that is down is down for pooled connections too, and comes back on its port."""
    with requests.Session() as session:
        url = f"http://127.0.0.1:{upstream.port}{PATH}"
        assert session.get(url, timeout=5).ok
        with upstream.refusing(), pytest.raises(requests.ConnectionError):
            session.get(url, timeout=5)
        assert session.get(url, timeout=5).ok


def test_requests_are_counted_with_their_headers_and_credentials_are_demanded(upstream: Upstream) -> None:
    """What reaches an upstream is what the privacy tests look at."""
    upstream.credentials = ("user", "secret")
    assert _get(upstream, PATH, X_Mark="here").status_code == 401
    login = requests.get(f"{upstream.url}demo/", headers={"Accept": JSON}, timeout=5)
    assert json.loads(login.content)["name"] == "demo"
    assert upstream.count(PATH) == 1
    assert upstream.requests[0].headers["x-mark"] == "here"


def test_a_hanging_answer_ends_with_the_upstream(upstream: Upstream) -> None:
    """Tests of timeouts must not wait for the fault's own end."""
    upstream.fail(PATH, faults.hang())
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"http://127.0.0.1:{upstream.port}{PATH}", timeout=0.2)
    started = time.monotonic()
    upstream.closing.set()
    assert time.monotonic() - started < 20
