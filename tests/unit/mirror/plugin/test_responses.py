"""Conditional and range requests by the rules of RFC 9110."""

from pathlib import Path

import pytest
from pyramid.request import Request

from mirror.plugin import responses
from mirror.plugin.responses import Validators

CONTENT = bytes(range(100))
TAGS = Validators(etag='"abc"', last_modified="Fri, 20 Nov 2026 12:00:00 GMT")


def _ask(method: str = "GET", **headers: str) -> tuple[int, bytes, dict[str, str]]:
    request = Request.blank("/", method=method)
    request.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    answer = responses.respond(request, TAGS, responses.of_bytes(CONTENT))
    return answer.status_code, answer.body, dict(answer.headers)


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("bytes=0-9", (0, 10)),
        ("bytes=90-", (90, 100)),
        ("bytes=90-999", (90, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-999", (0, 100)),
        ("Bytes = 5 - 5", None),  # the unit is case-sensitive in none of the clients, but nobody sends this
        ("bytes=100-", (0, 0)),
        ("bytes=-0", (0, 0)),
        ("bytes=9-3", None),
        ("bytes=-", None),
        ("bytes=0-1,5-6", None),
        ("lines=0-1", None),
        ("bytes=" + "9" * 5000 + "-", None),
        ("", None),
    ],
)
def test_a_range_is_one_that_can_be_sent_or_ignored_or_beyond_the_end(
    header: str, part: tuple[int, int] | None
) -> None:
    """A wrong part under a right header would corrupt what a client puts together."""
    assert responses.byte_range(header, 100) == part


def test_a_range_is_answered_with_its_bytes_and_where_they_are() -> None:
    """uv reads the end of wheels, pip resumes downloads."""
    status, body, headers = _ask(Range="bytes=10-19")
    assert (status, body, headers["Content-Range"]) == (206, CONTENT[10:20], "bytes 10-19/100")
    assert headers["ETag"] == '"abc"'
    status, body, headers = _ask(Range="bytes=100-")
    assert (status, body, headers["Content-Range"]) == (416, b"", "bytes */100")


@pytest.mark.parametrize(
    ("condition", "status"),
    [('"abc"', 206), (TAGS.last_modified, 206), ('"old"', 200), ('W/"abc"', 200), ("", 200)],
)
def test_if_range_with_another_tag_gets_everything(condition: str, status: int) -> None:
    """A part of the new file behind a part of the old one is neither."""
    assert _ask(Range="bytes=10-19", If_Range=condition)[0] == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If_None_Match": '"abc"'}, 304),
        ({"If_None_Match": 'W/"abc"'}, 304),
        ({"If_None_Match": '"x", "abc"'}, 304),
        ({"If_None_Match": '"x","abc"'}, 304),
        ({"If_None_Match": "*"}, 304),
        ({"If_None_Match": "abc"}, 200),
        ({"If_None_Match": '"x"', "If_Modified_Since": TAGS.last_modified}, 200),
        ({"If_Modified_Since": TAGS.last_modified}, 304),
        ({"If_Modified_Since": "Fri, 20 Nov 2026 11:59:59 GMT"}, 200),
        ({"If_Modified_Since": "yesterday"}, 200),
        ({"If_Modified_Since": "Fri, 20 Nov 20261120 12:00:00 GMT"}, 200),
        ({"If_Modified_Since": "Sat, 21 Nov 2026 12:00:00 GMT"}, 200),
    ],
)
def test_what_a_client_has_is_not_sent_again(headers: dict[str, str], status: int) -> None:
    """If-None-Match decides alone when it is there (RFC 9110, 13.1.3)."""
    answered, body, sent = _ask(**headers)
    assert answered == status
    assert body == (b"" if status == 304 else CONTENT)
    assert sent["ETag"] == '"abc"'


def test_head_has_the_headers_of_get_and_no_body() -> None:
    """Clients learn the size with it."""
    status, body, headers = _ask("HEAD")
    assert (status, body, headers["Content-Length"]) == (200, b"", "100")


@pytest.mark.parametrize(
    ("header", "expected"), [("", CONTENT), ("bytes=7-8", CONTENT[7:9]), ("bytes=-3", CONTENT[97:])]
)
def test_a_file_is_sent_from_disk_with_and_without_a_servers_own_sender(
    tmp_path: Path, header: str, expected: bytes
) -> None:
    """`wsgi.file_wrapper` sends to the end of the file: a range before it must not go there."""
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    for environ in ({}, {"wsgi.file_wrapper": lambda file, _: _Sender(file)}):
        request = Request.blank("/", environ=dict(environ))
        request.headers["Range"] = header
        answer = responses.respond(request, TAGS, responses.of_file(request, path))
        assert b"".join(answer.app_iter) == expected


class _Sender:
    def __init__(self, file: object) -> None:
        self._file = file

    def __iter__(self) -> "object":
        with self._file as file:  # type: ignore[attr-defined]
            return iter([file.read()])
