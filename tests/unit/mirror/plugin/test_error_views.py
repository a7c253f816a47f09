"""What a client reads when an upstream or the disk does not give what is needed."""

import errno
from types import SimpleNamespace
from typing import Any

import pytest
from pyramid.request import Request

from mirror.plugin import error_views
from mirror.plugin.upstream.client import GatewayError

MARKUP = "the upstream answered 500 for /<script>alert(1)</script>"


def request(accept: str) -> Any:  # noqa: ANN401 (pyramid is untyped)
    """Of a client that accepts this; what it began is doomed in `doomed`."""
    asked = Request.blank("/root/pypi/+f/demo.whl", headers={"Accept": accept} if accept else {})
    asked.doomed = []
    keyfs = SimpleNamespace(tx=SimpleNamespace(doom=lambda: asked.doomed.append(True)))
    asked.registry = {"xom": SimpleNamespace(keyfs=keyfs)}
    return asked


def test_devpis_client_gets_json_with_a_message() -> None:
    """It shows the message to its user; text it cannot read."""
    asked = request("application/json")
    answer = error_views.gateway_error(GatewayError(503, MARKUP, "7"), asked)
    assert (answer.status_code, answer.content_type, answer.json["message"]) == (
        503,
        "application/json",
        MARKUP,
    )
    assert (answer.headers["Retry-After"], answer.headers["Cache-Control"]) == ("7", "no-store")
    assert asked.doomed, "nothing that the request began may be kept"


@pytest.mark.parametrize("accept", ["", "*/*", "text/html", "application/vnd.pypi.simple.v1+json"])
def test_everybody_else_gets_text_that_no_browser_takes_for_html(accept: str) -> None:
    """An upstream's words in our page would be the upstream's page."""
    answer = error_views.gateway_error(GatewayError(404, MARKUP), request(accept))
    assert (answer.status_code, answer.headers["Content-Type"], answer.text) == (
        404,
        "text/plain; charset=UTF-8",
        f"{MARKUP}\n",
    )
    assert "Retry-After" not in answer.headers, "asking again would not help"


def test_the_status_line_says_why_and_has_no_second_line() -> None:
    """pip and twine show nothing else; a line end would begin a header of the upstream's choice."""
    answer = error_views.gateway_error(GatewayError(502, "wrong:\r\nX: 1 ü" + "x" * 999), request(""))
    assert answer.status.startswith("502 wrong:??X: 1 ?xxx")
    assert len(answer.status) < 400


@pytest.mark.parametrize(
    ("number", "status"), [(errno.ENOSPC, 507), (errno.EDQUOT, 507), (errno.ENAMETOOLONG, 400)]
)
def test_an_upload_that_finds_no_room_is_told_so(number: int, status: int) -> None:
    """500 would send its author to us instead of to the administrator."""
    answer = error_views.storage_error(OSError(number, "no room"), request("application/json"))
    assert (answer.status_code, answer.json["message"]) == (status, "This cannot be stored: no room.")


def test_other_errors_of_the_system_keep_their_traceback() -> None:
    """They are mistakes of ours."""
    with pytest.raises(PermissionError):
        error_views.storage_error(PermissionError(errno.EACCES, "no"), request(""))
