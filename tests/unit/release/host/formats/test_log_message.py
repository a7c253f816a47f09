"""The promises of release.host.formats.log_message."""

import re

import pytest

from release.host.formats import log_line, log_message
from release.host.formats.log_message import JOURNALD, SYSLOG, LineSource

WEB = LineSource("shop", "web", 43)
LINE = log_line.parse(b"2026-11-26T05:13:50.123456Z 4711 GET / 200")


def test_journald_gets_fields_and_the_bytes_as_they_are() -> None:
    """The native protocol: a field with its length may have any byte, so none can add a field of its own."""
    text = b"GET / 200\nPRIORITY=0\n\xff\x00"
    assert log_message.of_line(JOURNALD, WEB, LINE, text) == (
        b"PRIORITY=6\nSYSLOG_IDENTIFIER=shop\nSYSLOG_PID=4711\n"
        b"PACKHORSE_APP=shop\nPACKHORSE_PROCESS=web\nPACKHORSE_RELEASE=43\n"
        b"PACKHORSE_TIME=2026-11-26T05:13:50.123456Z\n"
        b"MESSAGE\n" + len(text).to_bytes(8, "little") + text + b"\n"
    )


def test_a_line_of_an_earlier_version_has_no_process() -> None:
    """It has no time either."""
    message = log_message.of_line(JOURNALD, WEB, log_line.parse(b"old"), b"old")
    assert b"SYSLOG_PID" not in message
    assert b"PACKHORSE_TIME" not in message
    assert b" shop/web.43: old" in log_message.of_line(SYSLOG, WEB, log_line.parse(b"old"), b"old")


@pytest.mark.parametrize("at", ["2026-99-99T99:99:99", "0001-01-01T00:00:00", "9999-12-31T23:59:59"])
def test_a_time_that_is_none_is_sent_as_now(at: str) -> None:
    """An application that writes it would stop what sends its lines, again and again."""
    line = log_line.parse(f"{at}.999999Z 1 x".encode())
    assert log_message.of_line(SYSLOG, WEB, line, b"x").endswith(b" shop/web.43[1]: x")


def test_syslog_gets_a_tag_and_no_control_character() -> None:
    """With a NUL or a newline the text would end, or begin another message; rsyslog writes them so, too."""
    message = log_message.of_line(SYSLOG, WEB, LINE, b"a\x00b\n<0>c\x1b[2J\xff\ttab")
    assert re.fullmatch(
        rb"<14>Nov 2\d \d\d:\d\d:50 shop/web\.43\[4711\]: a#000b#012<0>c#033\[2J\xff\ttab", message
    )
