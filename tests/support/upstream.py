"""A fake upstream index on loopback: old or new formats, faults on demand, a record of its requests."""

import hashlib
import html
import json
import re
import socket
import threading
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal, Self
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename

from tests.support.dists import Dist
from tests.support.faults import Answer, Fault

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "text/html"


@dataclass(frozen=True)
class Listed:
    """A file as a page lists it, with what the page states besides its name."""

    dist: Dist
    upload_time: str = "2024-01-02T03:04:05.678900Z"
    yanked: bool | str = False
    requires_python: str = ""
    provenance: str = ""
    hashes: Mapping[str, str] | None = None  # None: the true sha256

    @property
    def stated_hashes(self) -> Mapping[str, str]:
        """What the page says, right or wrong."""
        return {"sha256": self.dist.sha256} if self.hashes is None else self.hashes


@dataclass
class Project:
    """A project page: its files and its PEP 792 status."""

    files: list[Listed] = field(default_factory=list)
    status: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Seen:
    """A request that arrived: `headers` as sent, names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]


class Upstream:
    """A server with switches (all may be changed while it runs) and a memory of what it was asked.

    `style`: "json" and "html" answer that whatever is accepted, "negotiated" goes by the Accept header.
    """

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.address = address
        self.projects: dict[str, Project] = {}
        self.closing = threading.Event()
        self.reset()
        self._lock = threading.Lock()
        self._line_is_free = 0.0  # time.monotonic()
        self._open: set[socket.socket] = set()
        self._server: ThreadingHTTPServer | None = None
        self._listen(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._refuse()

    def reset(self) -> None:
        """As new, except for the projects."""
        self.style: Literal["json", "html", "negotiated"] = "negotiated"
        self.ranges = True  # else a Range header is ignored, and 200 with everything is the answer
        self.metadata = True  # `.metadata` files are offered and there
        self.upload_times = True  # PEP 700: size, upload-time, versions
        self.etags = True
        self.serials = True
        self.credentials: tuple[str, str] | None = None  # user and password that every request needs
        self.line: float | None = None  # bytes a second, of all connections together
        self.requests: list[Seen] = []
        self.connections = 0
        self.files_elsewhere: dict[str, Upstream] = {}  # file name -> the server that pages name for it
        self._faults: dict[str, tuple[Fault, int | None]] = {}

    @property
    def url(self) -> str:
        """The simple index, with a slash at its end; with the credentials that it needs."""
        login = f"{self.credentials[0]}:{self.credentials[1]}@" if self.credentials else ""
        return f"http://{login}{self.address}:{self.port}/simple/"

    def add(self, name: str, *dists: Dist | Listed, status: Mapping[str, str] | None = None) -> None:
        """List `dists` on the page of `name`, after what is there."""
        project = self.projects.setdefault(canonicalize_name(name), Project())
        project.files += [dist if isinstance(dist, Listed) else Listed(dist) for dist in dists]
        project.status = status or project.status

    def fail(self, path: str, fault: Fault, *, times: int | None = None) -> None:
        """From now on, or so many `times`, answer `path` (`/files/*`: all below it) with `fault`."""
        with self._lock:
            self._faults[path] = (fault, times)

    def heal(self) -> None:
        """Take back every fault."""
        with self._lock:
            self._faults.clear()

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Within the block connections are refused, on the same port."""
        self._refuse()
        try:
            yield
        finally:
            self._listen(self.port)

    def _wait_for_line(self, size: int) -> None:
        """Wait until `size` bytes would have gone through a line of this speed."""
        if self.line is None:
            return
        with self._lock:
            self._line_is_free = max(self._line_is_free, time.monotonic()) + size / self.line
            seconds = self._line_is_free - time.monotonic()
        if seconds > 0:
            self.closing.wait(seconds)

    def count(self, path: str, method: str = "GET") -> int:
        """How often `path` was asked for."""
        return Counter((seen.method, seen.path) for seen in list(self.requests))[method, path]

    def forget(self) -> None:
        """Count from zero again."""
        self.requests.clear()
        self.connections = 0

    def file_path(self, dist: Dist) -> str:
        """Where `dist` is served."""
        return f"/files/{dist.filename}"

    def answer(self, path: str, headers: Mapping[str, str]) -> Answer:
        """What an honest upstream with these switches says to GET `path`."""
        path = unquote(urlsplit(path).path)
        if page := re.fullmatch(r"/simple/([^/]+)/", path):
            return self._page(canonicalize_name(page[1]), headers)
        if path == "/simple/":
            return self._project_list(headers)
        for listed in [listed for project in self.projects.values() for listed in project.files]:
            if path == self.file_path(listed.dist):
                return self._file(listed.dist.content, headers)
            if path == f"{self.file_path(listed.dist)}.metadata" and self.metadata and listed.dist.metadata:
                return self._file(listed.dist.metadata, headers)
        return Answer(404, {"Content-Type": "text/plain"}, b"no such page\n")

    def _listen(self, port: int) -> None:
        upstream = self

        class Handler(_Handler):
            owner = upstream

        ThreadingHTTPServer.allow_reuse_address = True
        self._server = ThreadingHTTPServer((self.address, port), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def _refuse(self) -> None:
        if self._server is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._server = None
        for connection in list(self._open):  # those that a client keeps for its next request
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _take_fault(self, path: str) -> Fault | None:
        with self._lock:
            for pattern, (fault, times) in self._faults.items():
                if path != pattern and not (pattern.endswith("*") and path.startswith(pattern[:-1])):
                    continue
                if times is not None:
                    if times <= 0:
                        continue
                    self._faults[pattern] = (fault, times - 1)
                return fault
        return None

    def _page(self, name: str, headers: Mapping[str, str]) -> Answer:
        project = self.projects.get(name)
        if project is None:
            return Answer(404, {"Content-Type": "text/plain"}, b"no such project\n")
        if self._says_json(headers):
            return self._simple(JSON, json.dumps(self._page_json(name, project)).encode(), headers)
        return self._simple(HTML, self._page_html(name, project).encode(), headers)

    def _project_list(self, headers: Mapping[str, str]) -> Answer:
        if self._says_json(headers):
            page = {"meta": {"api-version": "1.0"}, "projects": [{"name": name} for name in self.projects]}
            return self._simple(JSON, json.dumps(page).encode(), headers)
        links = "".join(f'<a href="{name}/">{name}</a>\n' for name in self.projects)
        return self._simple(HTML, f"<!DOCTYPE html><html><body>{links}</body></html>".encode(), headers)

    def _says_json(self, headers: Mapping[str, str]) -> bool:
        return self.style == "json" or (self.style == "negotiated" and JSON in headers.get("accept", ""))

    def _simple(self, content_type: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        sent = {"Content-Type": content_type, "Vary": "Accept"}
        if self.serials:
            sent["X-PyPI-Last-Serial"] = str(
                len(self.projects) + sum(len(p.files) for p in self.projects.values())
            )
        if self.etags:
            sent["ETag"] = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
            if headers.get("if-none-match") == sent["ETag"]:
                return Answer(304, sent)
        return Answer(200, sent, body)

    def _page_json(self, name: str, project: Project) -> dict[str, object]:
        page: dict[str, object] = {
            "meta": {"api-version": "1.1" if self.upload_times else "1.0"},
            "name": name,
        }
        if project.status:
            page["meta"] = {"api-version": "1.4"}
            page["project-status"] = dict(project.status)
        if self.upload_times:
            page["versions"] = sorted({_version(listed.dist.filename) for listed in project.files})
        page["files"] = [self._file_json(listed) for listed in project.files]
        return page

    def _file_json(self, listed: Listed) -> dict[str, object]:
        entry: dict[str, object] = {
            "filename": listed.dist.filename,
            "url": f"{self._files_server(listed.dist)}{self.file_path(listed.dist)}",
            "hashes": dict(listed.stated_hashes),
            "yanked": listed.yanked,
            "requires-python": listed.requires_python or None,
            "provenance": listed.provenance or None,
        }
        if self.upload_times:
            entry |= {"size": len(listed.dist.content), "upload-time": listed.upload_time}
        if self.metadata and listed.dist.filename.endswith(".whl") and listed.dist.metadata:
            entry["core-metadata"] = {"sha256": hashlib.sha256(listed.dist.metadata).hexdigest()}
        return entry

    def _files_server(self, dist: Dist) -> str:
        server = self.files_elsewhere.get(dist.filename, self)
        return f"http://{server.address}:{server.port}"

    def _page_html(self, name: str, project: Project) -> str:
        links = []
        for listed in project.files:
            hashed = "&".join(f"{kind}={value}" for kind, value in listed.stated_hashes.items())
            attributes = f' href="../..{self.file_path(listed.dist)}{"#" + hashed if hashed else ""}"'
            if listed.requires_python:
                attributes += f' data-requires-python="{html.escape(listed.requires_python)}"'
            if listed.yanked is not False:
                attributes += f' data-yanked="{html.escape("" if listed.yanked is True else listed.yanked)}"'
            if self.metadata and listed.dist.filename.endswith(".whl") and listed.dist.metadata:
                attributes += (
                    f' data-core-metadata="sha256={hashlib.sha256(listed.dist.metadata).hexdigest()}"'
                )
            links.append(f"<a{attributes}>{listed.dist.filename}</a><br/>")
        head = f"<head><title>{name}</title></head>"
        return f"<!DOCTYPE html>\n<html>{head}<body><h1>Links for {name}</h1>{''.join(links)}</body></html>"

    def _file(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        sent = {"Content-Type": "application/octet-stream"}
        if self.etags:
            sent["ETag"] = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        if not self.ranges:
            return Answer(200, sent, body)
        sent["Accept-Ranges"] = "bytes"
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", headers.get("range", ""))
        if not asked or asked[0] == "bytes=-":
            return Answer(200, sent, body)
        first = int(asked[1]) if asked[1] else max(0, len(body) - int(asked[2]))
        last = min(int(asked[2]) if asked[1] and asked[2] else len(body) - 1, len(body) - 1)
        if first > last:
            return Answer(416, sent | {"Content-Range": f"bytes */{len(body)}"})
        return Answer(
            206, sent | {"Content-Range": f"bytes {first}-{last}/{len(body)}"}, body[first : last + 1]
        )


class _Handler(BaseHTTPRequestHandler):
    """Receives a request, asks its owner for the answer, spoils and sends it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each small answer over a kept connection takes 40 ms
    owner: Upstream

    def setup(self) -> None:
        self.owner.connections += 1
        self.owner._open.add(self.request)
        super().setup()

    def finish(self) -> None:
        self.owner._open.discard(self.request)
        super().finish()

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        headers = _lower(self.headers)
        self.owner.requests.append(Seen(self.command, path, headers))
        answer = self.owner.answer(path, headers)
        if self.owner.credentials and headers.get("authorization") != _basic(*self.owner.credentials):
            answer = Answer(401, {"WWW-Authenticate": 'Basic realm="tests"'})
        if fault := self.owner._take_fault(path):
            answer = fault(answer)
        try:
            self._send(answer)
        except OSError:  # the client went away, which is its right
            self.close_connection = True

    def do_HEAD(self) -> None:
        self.do_GET()

    def _send(self, answer: Answer) -> None:
        if answer.pause_at < 0:
            self._pause(answer)
        if answer.status == 0 or self.owner.closing.is_set():
            self.close_connection = True
            return
        self.send_response(answer.status)
        length = {"Content-Length": str(len(answer.body))} if answer.sized else {"Connection": "close"}
        for name, value in {**length, **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self._send_body(answer)

    def _send_body(self, answer: Answer) -> None:
        body = answer.body if answer.cut is None else answer.body[: answer.cut]
        step = 1024 if answer.pace else 16_384 if self.owner.line else max(len(body), 1)
        first = max(0, answer.pause_at)
        if first:
            self.wfile.write(body[:first])
        if answer.pause_at >= 0:
            self._pause(answer)
        for position in range(first, len(body), step):
            self.owner._wait_for_line(min(step, len(body) - position))
            self.wfile.write(body[position : position + step])
            if answer.pace and self.owner.closing.wait(answer.pace):
                break
        self.close_connection = self.close_connection or answer.cut is not None

    def _pause(self, answer: Answer) -> None:
        left = answer.seconds
        while answer.gate and left > 0 and not answer.gate.wait(0.02) and not self.owner.closing.is_set():
            left -= 0.02

    def log_message(self, *_: object) -> None:
        """Say nothing: the requests are recorded."""


def _lower(headers: Message) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _basic(user: str, password: str) -> str:
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


def _version(filename: str) -> str:
    parse = parse_wheel_filename if filename.endswith(".whl") else parse_sdist_filename
    return str(parse(filename)[1])
