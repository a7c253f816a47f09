"""Datagrams with a log line for journald and for syslog."""

import contextlib
import re
from datetime import datetime
from typing import NamedTuple

from release.host.formats.log_line import LogLine

# https://systemd.io/JOURNAL_NATIVE_PROTOCOL
JOURNALD = "journald"
# RFC 3164 as programs write it to /dev/log, without a host. journald and rsyslog read no RFC 5424 there. The
# tag is like postfix/smtpd[7]: rsyslog's programname ends at the slash.
SYSLOG = "syslog"

LONGEST = {JOURNALD: 128 * 1024, SYSLOG: 8000}
"""Bytes of a line in one datagram: rsyslog takes 8 kB, journald what fits into the buffer of a socket."""
_INFO = 6
_USER = 1


class LineSource(NamedTuple):
    """Process that wrote a line."""

    app: str
    process: str
    release: int


def of_line(to: str, source: LineSource, line: LogLine, text: bytes) -> bytes:
    """The datagram for JOURNALD or SYSLOG with `text`, which is `line`'s or a part of it."""
    return (_journald if to == JOURNALD else _syslog)(source, line, text)


def _journald(source: LineSource, line: LogLine, text: bytes) -> bytes:
    fields = {
        "PRIORITY": _INFO,
        "SYSLOG_IDENTIFIER": source.app,
        "SYSLOG_PID": line.pid,
        "PACKHORSE_APP": source.app,
        "PACKHORSE_PROCESS": source.process,
        "PACKHORSE_RELEASE": source.release,
        "PACKHORSE_TIME": line.at or None,
    }
    known = "".join(f"{name}={value}\n" for name, value in fields.items() if value is not None)
    return known.encode() + b"MESSAGE\n" + len(text).to_bytes(8, "little") + text + b"\n"


def _syslog(source: LineSource, line: LogLine, text: bytes) -> bytes:
    when = datetime.now().astimezone()
    with contextlib.suppress(ValueError, OverflowError):  # no time, or one that the application made up
        when = datetime.fromisoformat(line.at).astimezone()
    tag = f"{source.app}/{source.process}.{source.release}{f'[{line.pid}]' if line.pid else ''}"
    # As rsyslog writes control characters; with a NUL the text would end.
    shown = re.sub(rb"[\x00-\x08\x0a-\x1f\x7f]", lambda found: b"#%03o" % found[0][0], text)
    return f"<{_USER * 8 + _INFO}>{when:%b %e %H:%M:%S} {tag}: ".encode() + shown
