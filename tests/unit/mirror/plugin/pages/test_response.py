"""Answers made of stored pages; their paths through the server are in test_wsgi.py."""

from typing import Any

import pytest

from mirror.plugin import gzip_bytes
from mirror.plugin.pages import response
from mirror.plugin.pages.response import Representation
from mirror.plugin.pages.store import StoredPage
from mirror.plugin.simple.content_types import JSON, TEXT

PAGE = StoredPage(gzip_bytes.compress(b"{}"), 1000)
GET: dict[str, Any] = {"REQUEST_METHOD": "GET"}


def test_a_form_is_found_for_headers_or_none() -> None:
    """The `format` of the query wins (PEP 691)."""
    assert response.representation(JSON, "gzip") == Representation(JSON, gzip=True)
    assert response.representation(JSON, None, TEXT) == Representation(TEXT, gzip=False)
    assert response.representation("image/png", None) is None


def test_a_stale_page_says_how_old_it_is() -> None:
    """Whoever looks for the reason of an old list finds it in the headers."""
    form = Representation(JSON, gzip=False)
    assert dict(response.respond(GET, form, PAGE, 61.7).headers)[response.STALE] == "61"
    assert response.STALE not in dict(response.respond(GET, form, PAGE).headers)
    unchanged = response.respond({**GET, "HTTP_IF_NONE_MATCH": PAGE.etag}, form, PAGE, 61.7)
    assert (unchanged.status, dict(unchanged.headers)[response.STALE]) == ("304 Not Modified", "61")


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ({"HTTP_IF_NONE_MATCH": f'"x",{PAGE.etag}'}, "304 Not Modified"),
        ({"HTTP_IF_NONE_MATCH": '"x"', "HTTP_IF_MODIFIED_SINCE": "Thu, 01 Jan 1970 00:16:40 GMT"}, "200 OK"),
        ({"HTTP_IF_MODIFIED_SINCE": "Thu, 01 Jan 1970 00:16:40 GMT"}, "304 Not Modified"),
        ({"HTTP_IF_MODIFIED_SINCE": "Thu, 01 Jan 1970 00:16:41 GMT"}, "200 OK"),
    ],
)
def test_a_page_is_unchanged_by_the_rules_for_files(condition: dict[str, str], status: str) -> None:
    """A later date may be that of an older page from a replica."""
    assert response.respond({**GET, **condition}, Representation(JSON, gzip=False), PAGE).status == status
