"""What becomes of a login in an upstream's URL on its way to others."""

import logging
from typing import Any

import pytest

from mirror.plugin.patches.views import redaction

URL, PLAIN = "https://user:pass:w@rd@example.com:8443/simple/", "https://example.com:8443/simple/"


@pytest.mark.parametrize(
    "result",
    [
        lambda url: {"mirror_url": url, "volatile": False, "bases": []},
        lambda url: {"username": "a", "indexes": {"b": {"mirror_url": url}}},
        lambda url: {"a": {"username": "a", "indexes": {"b": {"mirror_url": url, "title": "B"}, "c": {}}}},
    ],
)
def test_settings_are_shown_without_logins(result: Any) -> None:  # noqa: ANN401 (a function of the URL)
    """Of an index, of a user, of all."""
    assert redaction.shown(result(URL)) == result(PLAIN)


def test_a_line_of_the_log_has_no_login(caplog: pytest.LogCaptureFixture) -> None:
    """Also one whose parts are put together when it is written."""
    caplog.handler.addFilter(redaction._without_login_in_record)
    logging.getLogger().warning("modified index %s: %s", "root/pypi", {"mirror_url": URL})
    assert caplog.messages == [f"modified index root/pypi: {{'mirror_url': '{PLAIN}'}}"]


def test_a_name_of_a_client_begins_no_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Nor does it obey a terminal."""
    caplog.handler.addFilter(redaction._without_login_in_record)
    logging.getLogger().warning("no stage %s", "x\n2026-11-27 ERROR forged\x1b[31m")
    assert caplog.messages == ["no stage x\\n2026-11-27 ERROR forged\\x1b[31m"]


def test_a_traceback_in_the_log_has_no_login(caplog: pytest.LogCaptureFixture) -> None:
    """Errors of HTTP clients name the URL."""
    caplog.handler.addFilter(redaction._without_login_in_record)
    try:
        int(URL)
    except ValueError:
        logging.getLogger().exception("failed")
    assert PLAIN in caplog.text
    assert "pass" not in caplog.text


def test_a_line_that_cannot_be_put_together_is_no_error_of_who_writes_it() -> None:
    """logging itself reports it, and the request goes on."""
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, "%d of %s", ("one",), None)
    assert redaction._without_login_in_record(record)
