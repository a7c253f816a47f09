"""Bytes that do not change, and a request: the answer by the rules of RFC 9110 (304, 206, 416, HEAD)."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, BinaryIO

from pyramid.httpexceptions import HTTPMethodNotAllowed
from pyramid.response import Response

CHUNK = 256 * 1024
FOREVER = "max-age=365000000, immutable, public"


@dataclass(frozen=True)
class ResponseBody:
    """What is to be sent: `open(start, stop)` gives the bytes between, and is called at most once."""

    size: int
    open: Callable[[int, int], Iterable[bytes]]


@dataclass(frozen=True)
class Validators:
    """What a client can validate by, and how long it may keep what it gets."""

    etag: str | None  # without quotes; strong: the same tag means the same bytes
    last_modified: str | None = None  # an HTTP date
    content_type: str = "application/octet-stream"
    cache_control: str = FOREVER


def respond(request: Any, tags: Validators, body: ResponseBody) -> Any:
    """The answer to GET or HEAD."""
    if not_modified(request, tags):
        return Response(status=304, headerlist=_headers(tags))
    headers = [*_headers(tags), ("Content-Type", tags.content_type), ("Accept-Ranges", "bytes")]
    asked = byte_range(request.headers.get("Range", ""), body.size)
    if asked is None or not _range_applies(request, tags):
        status, start, stop = 200, 0, body.size
    elif asked[0] >= asked[1]:
        beyond = [("Content-Range", f"bytes */{body.size}"), ("Content-Length", "0")]
        return Response(status=416, headerlist=beyond)
    else:
        status, (start, stop) = 206, asked
        headers.append(("Content-Range", f"bytes {start}-{stop - 1}/{body.size}"))
    headers.append(("Content-Length", str(stop - start)))
    content = () if request.method == "HEAD" else body.open(start, stop)
    return Response(status=status, headerlist=headers, app_iter=content)


def refuse_writes(request: Any) -> None:
    """devpi would serve a file or a page to PUT too, and let all who write wait for the upstream."""
    if request.method not in {"GET", "HEAD"}:
        raise HTTPMethodNotAllowed(headers={"Allow": "GET, HEAD"})


def byte_range(header: str, size: int) -> tuple[int, int] | None:
    """Start and stop of a single range, (0, 0) for one beyond the end, None to send everything.

    Several ranges in one request are answered with everything, which RFC 9110 (14.2) allows.
    """
    asked = re.fullmatch(r"\s*bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", header)
    if not asked or not (asked[1] or asked[2]):
        return None
    if not asked[1]:
        return (max(0, size - int(asked[2])), size) if int(asked[2]) else (0, 0)
    start = int(asked[1])
    stop = min(int(asked[2]) + 1, size) if asked[2] else size
    if asked[2] and int(asked[2]) < start:
        return None
    return (start, stop) if start < size else (0, 0)


def not_modified(request: Any, tags: Validators) -> bool:
    """Whether the client has these bytes already. If-None-Match decides alone when it is there."""
    stated = request.headers.get("If-None-Match")
    if stated is not None:
        known = {part.strip().removeprefix("W/") for part in stated.split(",")}
        return "*" in known or (tags.etag is not None and f'"{tags.etag}"' in known)
    since, changed = _date(request.headers.get("If-Modified-Since")), _date(tags.last_modified)
    return since is not None and changed is not None and changed <= since


def _range_applies(request: Any, tags: Validators) -> bool:
    """RFC 9110 (13.1.5): a range of other bytes than the client has begun with is of no use to it."""
    condition = request.headers.get("If-Range")
    return condition is None or condition in {f'"{tags.etag}"' if tags.etag else None, tags.last_modified}


def _date(text: str | None) -> datetime | None:
    try:
        date = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _headers(tags: Validators) -> list[tuple[str, str]]:
    optional = {"ETag": f'"{tags.etag}"' if tags.etag else None, "Last-Modified": tags.last_modified}
    return [("Cache-Control", tags.cache_control), *((k, v) for k, v in optional.items() if v)]


def of_bytes(content: bytes) -> ResponseBody:
    """A body that is in memory."""
    return ResponseBody(len(content), lambda start, stop: (content[start:stop],))


def of_file(request: Any, path: Path) -> ResponseBody:
    """A body on disk.

    Everything up to the end goes to the server's `wsgi.file_wrapper`: waitress sends it from its
    main loop, so that a slow client takes no thread.
    """
    size = path.stat().st_size
    wrapper = request.environ.get("wsgi.file_wrapper")

    def opened(start: int, stop: int) -> Iterable[bytes]:
        file = path.open("rb")  # closed by whoever sends it
        file.seek(start)
        sent: Iterable[bytes] = (
            wrapper(file, CHUNK) if wrapper and stop == size else _part(file, stop - start)
        )
        return sent

    return ResponseBody(size, opened)


def _part(file: BinaryIO, left: int) -> Iterator[bytes]:
    with file:
        while left > 0 and (chunk := file.read(min(CHUNK, left))):
            left -= len(chunk)
            yield chunk
