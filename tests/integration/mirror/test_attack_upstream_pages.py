"""Attacks by pages of an upstream: made to take memory or time, or sent so that they never end."""

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import requests

from tests.support.dists import wheel
from tests.support.faults import Answer, Fault
from tests.support.mirror_and_upstream import Mirrored, mirror_of, new_name
from tests.support.upstream import HTML, JSON, Upstream

TITLE = b"<!DOCTYPE html><title>Links for demo</title>"
MEMORY = 600_000_000  # bytes of the server with its processes; without pages they have 150 MB


@pytest.fixture(scope="module")
def attacked() -> Iterator[Mirrored]:
    """A mirror whose upstream is hostile."""
    with Upstream() as upstream, mirror_of(upstream, "request_timeout = 30\n") as mirrored:
        yield mirrored


def _page(body: bytes, content_type: str = HTML, **headers: str) -> Fault:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: Answer(200, {"Content-Type": content_type, **named}, body)


def _get(mirrored: Mirrored, project: str) -> requests.Response:
    return requests.get(f"{mirrored.mirror.index_url('root/pypi')}{project}/", timeout=60)


def _hostile(mirrored: Mirrored, fault: Fault) -> str:
    """The name of a project with such a page."""
    name = new_name("hostile")
    mirrored.upstream.fail(f"/simple/{name}/", fault)
    return name


def _memory(mirrored: Mirrored) -> int:
    """Bytes that the server and its processes have had in memory at most."""
    port = mirrored.mirror.url.rpartition(":")[2]
    (server,) = (
        process
        for process in psutil.process_iter(["cmdline"])
        if {"--port", port} <= set(process.info["cmdline"] or ())
    )
    peak = 0
    for process in [server, *server.children()]:
        with suppress(FileNotFoundError, IndexError):  # it has ended
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak += int(status.partition("VmHWM:")[2].split()[0]) * 1024
    return peak


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(TITLE + b" " * 260_000_000),
        gzip.compress(b'{"meta":{},"name":"x","files":[],"versions":[' + b'"ab",' * 12_000_000),
        gzip.compress(TITLE + b'<a href="">x</a>' * 3_000_000),
    ],
    ids=["spaces", "strings", "links"],
)
def test_small_pages_that_unpack_to_gigabytes(attacked: Mirrored, body: bytes) -> None:
    """Twelve at once took 2.2 GB; they are refused, and honest pages are answered meanwhile."""
    honest = wheel(new_name("honest"), "1.0")
    project = honest.filename.partition("-")[0]
    attacked.upstream.add(project, honest)
    names = [_hostile(attacked, _page(body, "", Content_Encoding="gzip")) for _ in range(12)]
    with ThreadPoolExecutor(13) as pool:
        hostile = [pool.submit(_get, attacked, name) for name in names]
        assert _get(attacked, project).status_code == 200
        assert {answer.result().status_code for answer in hostile} == {503}
    assert _memory(attacked) < MEMORY


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (TITLE + b"<div>" * 1_000_000, HTML),
        (TITLE + b"<a " * 200_000, HTML),
        (TITLE + b"<h1>" + b"a<b>" * 500_000, HTML),
        (TITLE + b"<a " + b" ".join(b"x%d=1" % number for number in range(1_000_000)) + b">x</a>", HTML),
        (TITLE + b"<!--" * 300_000, HTML),
        (b'{"meta":{},"name":"x","files":' + b"[" * 2_000_000, JSON),
        (b'{"meta":{},"name":"x","files":[],"versions":' + b"9" * 10_000_000, JSON),
        (TITLE + b'<a href="' + b"x" * 50_000_000 + b'">x</a>', HTML),
        (TITLE + b"\xff\xfe" * 1_000_000, HTML),
        (b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>', HTML),
    ],
    ids=[
        "nested",
        "unfinished",
        "heading",
        "attributes",
        "comments",
        "deep",
        "number",
        "link",
        "bytes",
        "entities",
    ],
)
def test_pages_that_take_long(attacked: Mirrored, body: bytes, content_type: str) -> None:
    """One kept cold pages of others waiting for 10 s. Several at once do not, nor stop the server."""
    names = [_hostile(attacked, _page(body, content_type)) for _ in range(3)]
    honest = wheel(new_name("honest"), "1.0")
    project = honest.filename.partition("-")[0]
    attacked.upstream.add(project, honest)
    with ThreadPoolExecutor(3) as pool:
        hostile = [pool.submit(_get, attacked, name) for name in names]
        assert _get(attacked, project).status_code == 200
        for answer in hostile:
            assert answer.result().status_code in {200, 503}
    assert _memory(attacked) < 2 * MEMORY


@pytest.mark.parametrize("style", ["json", "html"])
def test_an_honest_page_of_fifty_thousand_files(attacked: Mirrored, style: str) -> None:
    """Of 20 MB: limits are for what no index has."""
    name = new_name("large")
    files = [(f"{name}-{number}.0-py3-none-any.whl", f"{number:064x}") for number in range(50_000)]
    if style == "json":
        listed = [
            {
                "filename": file,
                "url": f"https://files.example.com/{sha256}/{file}",
                "hashes": {"sha256": sha256},
                "requires-python": ">=3.9",
                "size": 1_000_000,
                "upload-time": "2024-01-02T03:04:05.678900Z",
                "core-metadata": {"sha256": sha256},
            }
            for file, sha256 in files
        ]
        body = json.dumps({"meta": {"api-version": "1.1"}, "name": name, "files": listed}).encode()
    else:
        links = "".join(
            f'<a href="https://files.example.com/{sha256}/{file}#sha256={sha256}"'
            f' data-requires-python="&gt;=3.9" data-core-metadata="sha256={sha256}">{file}</a><br/>\n'
            for file, sha256 in files
        )
        body = f"<!DOCTYPE html><html><body><h1>Links for {name}</h1>{links}</body></html>".encode()
    attacked.upstream.fail(f"/simple/{name}/", _page(body, JSON if style == "json" else HTML))
    assert len(body) > 15_000_000
    deadline = time.monotonic() + 180
    # Installers ask again, too: pages that take long may still be in the queue.
    while (answer := _get(attacked, name)).status_code == 503 and time.monotonic() < deadline:
        time.sleep(1)  # as the answer says
    assert answer.text.count(f">{name}-") == len(files)


class _Sender:
    """An upstream that sends `answer` to each request, and then `endless` until the client goes away."""

    def __init__(self, answer: bytes, endless: bytes = b"") -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/simple/"
        self._answer = answer
        self._endless = endless
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            threading.Thread(target=self._send, args=(connection,), daemon=True).start()

    def _send(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(65536)
            connection.sendall(self._answer)
            while self._endless:
                connection.sendall(self._endless)


START = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
MOVED = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /simple/"


@pytest.mark.parametrize(
    ("answer", "endless"),
    [
        (START, b"X-Padding: " + b"x" * 1000 + b"\r\n"),
        (START + b"X-Padding: ", b"x" * 1000),
        (START + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + TITLE, b""),
        (START + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x" * 1000),
        (START + b"Content-Length: 10\r\nContent-Length: 20\r\n\r\n" + TITLE, b""),
        (START + b"Content-Length: -1\r\n\r\n" + TITLE, b""),
        (START + b"Content-Length: 9" + b"9" * 30 + b"\r\n\r\n" + TITLE, b""),
        (START + b"\r\n", b"x" * 1_000_000),
        (START + b"Content-Encoding: " + b"gzip, " * 1000 + b"gzip\r\n\r\n" + gzip.compress(TITLE), b""),
        (MOVED + b"loop/\r\n\r\n", b""),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"\x00" * 1000, b""),
    ],
    ids=[
        *(
            "headers",
            "header",
            "chunks",
            "chunk",
            "lengths",
            "negative",
            "huge",
            "body",
            "encodings",
            "redirects",
        ),
        *("continue", "garbage"),
    ],
)
def test_an_answer_that_is_none_or_never_ends(
    answer: bytes, endless: bytes, sender_mirror: Callable[[str], Mirrored]
) -> None:
    """An error for that page, and the server goes on."""
    mirrored = sender_mirror(_Sender(answer, endless).url)
    assert _get(mirrored, new_name("endless")).status_code == 503
    assert requests.get(f"{mirrored.mirror.url}/+api", timeout=30).status_code == 200
    assert _memory(mirrored) < MEMORY


@pytest.fixture(scope="module")
def sender_mirror() -> Iterator[Callable[[str], Mirrored]]:
    """A mirror whose upstream can be changed."""
    with Upstream() as upstream, mirror_of(upstream, "request_timeout = 10\n") as mirrored:

        def point_to(url: str) -> Mirrored:
            mirrored.change_index("root/pypi", mirror_url=url)
            return mirrored

        yield point_to
