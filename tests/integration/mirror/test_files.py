"""File downloads through a real mirror from an upstream that misbehaves."""

import http.client
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
import requests
import urllib3

from tests.support import faults
from tests.support.dists import wheel
from tests.support.mirror_and_upstream import Mirrored, new_name
from tests.support.servers import wait_until

SMALL, LARGE = 5_000, 400_000  # bytes: below and above what is held back until the hash is known


def _get(url: str, **headers: str) -> requests.Response:
    return requests.get(url, headers={k.replace("_", "-"): v for k, v in headers.items()}, timeout=30)


def test_twenty_first_downloads_at_once_are_one_upstream_request(mirrored: Mirrored) -> None:
    """Stock devpi asks the upstream once per client, and answers one of three with 500."""
    dist = wheel("many-at-once", "1.0", padding=LARGE)
    (url,) = mirrored.publish(dist)
    gate = threading.Event()
    path = mirrored.upstream.file_path(dist)
    mirrored.upstream.fail(path, faults.held(gate, at=LARGE // 2))
    with ThreadPoolExecutor(20) as pool:
        answers = [pool.submit(_get, url) for _ in range(20)]
        wait_until("the upstream is asked", lambda: mirrored.upstream.count(path))
        time.sleep(0.5)
        gate.set()
        assert all(answer.result().content == dist.content for answer in answers)
    assert _get(url).content == dist.content
    assert mirrored.upstream.count(path) == 1


def test_bytes_reach_a_client_while_the_rest_is_still_on_its_way(mirrored: Mirrored) -> None:
    """Installers give up on connections that stay silent."""
    dist = wheel("streamed", "1.0", padding=LARGE)
    (url,) = mirrored.publish(dist)
    gate = threading.Event()
    mirrored.upstream.fail(mirrored.upstream.file_path(dist), faults.held(gate, at=LARGE // 2))
    with requests.get(url, stream=True, timeout=10) as answer:
        assert answer.headers["Content-Length"] == str(len(dist.content))
        begun = answer.raw.read(1000)
        gate.set()
        assert begun + answer.raw.read() == dist.content


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (faults.status(404), 404),
        (faults.status(410), 404),
        (faults.status(403), 502),
        (faults.status(429, Retry_After="9"), 503),
        (faults.status(500), 503),
        (faults.status(503), 503),
        (faults.hang(), 503),
        (faults.dropped, 503),
        (faults.truncated, 503),
        (faults.unsized_and_truncated, 502),
        (faults.short, 502),
        (faults.wrong_bytes, 502),
        (faults.wrong_end, 502),
        (faults.garbage, 502),
        (faults.redirect("/nowhere"), 404),
        (faults.redirect("http://127.0.0.1:1/"), 502),
    ],
)
def test_upstream_trouble_is_an_error_that_says_so_and_can_be_repeated(
    mirrored: Mirrored, fault: faults.Fault, status: int
) -> None:
    """Never a wrong file, never "not found" that the upstream did not say, nothing left behind."""
    dist = wheel(new_name("trouble"), "1.0", padding=SMALL)
    (url,) = mirrored.publish(dist)
    mirrored.upstream.fail(mirrored.upstream.file_path(dist), fault)
    answer = _get(url)
    assert answer.status_code == status, answer.text
    assert ("Retry-After" in answer.headers) == (status != 404)
    assert answer.headers["Cache-Control"] == "no-store"
    mirrored.upstream.heal()
    assert _get(url).content == dist.content


def test_retry_after_is_the_upstreams_own(mirrored: Mirrored) -> None:
    """Who asks earlier is refused again."""
    dist = wheel("told-to-wait", "1.0")
    (url,) = mirrored.publish(dist)
    mirrored.upstream.fail(mirrored.upstream.file_path(dist), faults.status(429, Retry_After="9"))
    assert _get(url).headers["Retry-After"] == "9"


@pytest.mark.parametrize("fault", [faults.wrong_end, faults.truncated, faults.wrong_bytes])
def test_a_large_wrong_file_is_a_broken_transfer(mirrored: Mirrored, fault: faults.Fault) -> None:
    """What has begun cannot become an error page; it must not look complete either."""
    dist = wheel(new_name("broken-transfer"), "1.0", padding=LARGE)
    (url,) = mirrored.publish(dist)
    gate = threading.Event()
    wrong_in_the_end = faults.both(fault, faults.held(gate, at=LARGE // 3))
    mirrored.upstream.fail(mirrored.upstream.file_path(dist), wrong_in_the_end)
    with requests.get(url, stream=True, timeout=10) as answer:
        assert answer.raw.read(1000)
        gate.set()
        with pytest.raises(urllib3.exceptions.HTTPError):
            answer.raw.read()
    mirrored.upstream.heal()
    assert _get(url).content == dist.content


def test_a_refused_connection_is_503_and_what_is_cached_is_served(mirrored: Mirrored) -> None:
    """A cache is for the time when its upstream is down."""
    cached, absent = wheel("refused", "1.0"), wheel("refused", "2.0")
    cached_url, absent_url = mirrored.publish(cached, absent)
    assert _get(cached_url).content == cached.content
    with mirrored.upstream.refusing():
        assert _get(cached_url).content == cached.content
        assert _get(absent_url).status_code == 503
    assert _get(absent_url).content == absent.content


def test_a_file_without_a_stated_length_is_answered_with_one(mirrored: Mirrored) -> None:
    """Without a length, a proxy that speaks HTTP/1.0 cannot tell a cut transfer from a whole one."""
    dist = wheel("unsized", "1.0", padding=LARGE)
    (url,) = mirrored.publish(dist)
    mirrored.upstream.fail(mirrored.upstream.file_path(dist), faults.unsized)
    answer = _get(url)
    assert (answer.headers["Content-Length"], answer.content) == (str(len(dist.content)), dist.content)


def test_a_client_that_goes_away_ends_nothing(mirrored: Mirrored) -> None:
    """The others follow the same download, and the next one finds it kept."""
    dist = wheel("left-alone", "1.0", padding=LARGE)
    (url,) = mirrored.publish(dist)
    gate = threading.Event()
    path = mirrored.upstream.file_path(dist)
    mirrored.upstream.fail(path, faults.held(gate, at=LARGE // 2))
    with ThreadPoolExecutor(1) as pool:
        with requests.get(url, stream=True, timeout=10) as impatient:
            impatient.raw.read(1000)
            patient = pool.submit(_get, url)
        gate.set()
        assert patient.result().content == dist.content
    assert _get(url).content == dist.content
    assert mirrored.upstream.count(path) == 1


def test_ranges_and_head_work_before_and_after_the_file_is_here(mirrored: Mirrored) -> None:
    """uv resumes and peeks; a HEAD does not cost a download."""
    dist = wheel("ranges", "1.0", padding=LARGE)
    (url,) = mirrored.publish(dist)
    path = mirrored.upstream.file_path(dist)
    for _ in ("not here yet", "here"):
        head = requests.head(url, timeout=10)
        assert (head.status_code, head.headers["Content-Length"]) == (200, str(len(dist.content)))
        assert head.headers["ETag"] == f'"{dist.sha256}"'
        part = _get(url, Range="bytes=100000-100009")
        assert (part.status_code, part.content) == (206, dist.content[100000:100010])
        assert part.headers["Content-Range"] == f"bytes 100000-100009/{len(dist.content)}"
        assert _get(url, Range="bytes=-10").content == dist.content[-10:]
        assert _get(url, Range="bytes=9999999-").status_code == 416
        assert _get(url, Range="bytes=0-1", If_Range='"another"').content == dist.content
        assert _get(url, If_None_Match=head.headers["ETag"]).status_code == 304
        wait_until("the file is kept", lambda: mirrored.upstream.count(path) == 1)
    assert (mirrored.upstream.count(path), mirrored.upstream.count(path, "HEAD")) == (1, 1)


def test_who_has_a_file_is_told_so_without_a_download(mirrored: Mirrored) -> None:
    """The tag is the hash that the page stated."""
    dist = wheel("known", "1.0")
    (url,) = mirrored.publish(dist)
    answer = _get(url, If_None_Match=f'"{dist.sha256}"')
    assert (answer.status_code, answer.headers["Cache-Control"]) == (
        304,
        "max-age=365000000, immutable, public",
    )
    assert mirrored.upstream.requests == []


def test_nothing_of_a_clients_headers_reaches_the_upstream(mirrored: Mirrored) -> None:
    """Stock devpi sends all of these with a metadata request."""
    mirrored.upstream.metadata = True
    dist = wheel("private-matter", "1.0", padding=SMALL)
    (url,) = mirrored.publish(dist)
    secrets = {
        "Authorization": "Basic c2VjcmV0OnNlY3JldA==",
        "Cookie": "auth_tkt=secret",
        "X-Devpi-Auth": "c2VjcmV0OnNlY3JldA==",
        "User-Agent": "pip/secret",
        "Referer": "http://secret.example.com/",
        "X-Forwarded-For": "10.9.8.7",
    }
    for method, address in (("HEAD", url), ("GET", f"{url}.metadata"), ("GET", url)):
        assert requests.request(method, address, headers=secrets, timeout=10).status_code == 200
    assert len(mirrored.upstream.requests) == 3
    allowed = {"accept", "accept-encoding", "connection", "host", "range", "user-agent"}
    for seen in mirrored.upstream.requests:
        assert set(seen.headers) <= allowed
        assert "secret" not in str(seen.headers)


def test_many_clients_that_wait_for_a_slow_upstream_leave_the_server_answering(mirrored: Mirrored) -> None:
    """Threads are few (100 here): what is cached must not wait for what is not."""
    slow, cached = wheel("slow", "1.0", padding=SMALL), wheel("slow", "2.0", padding=SMALL)
    slow_url, cached_url = mirrored.publish(slow, cached)
    assert _get(cached_url).ok
    gate = threading.Event()
    mirrored.upstream.fail(mirrored.upstream.file_path(slow), faults.held(gate))
    waiting = [_send_get(slow_url) for _ in range(120)]
    try:
        time.sleep(0.5)
        assert _get(cached_url).content == cached.content
        gate.set()
        statuses = [_status(connection) for connection in waiting]
    finally:
        for connection in waiting:
            connection.close()
    assert set(statuses) == {200, 503}
    assert statuses.count(200) >= 50


def _send_get(url: str) -> socket.socket:
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname or "", parts.port or 0), timeout=30)
    connection.sendall(
        f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode()
    )
    return connection


def _status(connection: socket.socket) -> int:
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    answer.read()
    answer.close()
    return answer.status
