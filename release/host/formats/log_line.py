"""Lines of an application's logs: `TIME PID TEXT`, as runtime/supervisor.py writes them, or just TEXT.

Those without a time are of a circusd that an earlier version started, or of no process at all.
"""

import functools
import re
from typing import NamedTuple

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
_PREFIX = re.compile(rb"(%s) (\d{1,10})(\+?) " % TIME.pattern.encode())
# TYPE.RELEASE, and for what runs once .ID; types of a Procfile have no dot.
_NAME = re.compile(r"([A-Za-z][\w-]{0,254})(?:\.(\d{1,9})(?:\.[\w-]+)*)?", re.ASCII)


class LogLine(NamedTuple):
    """One line; bytes of `text` that are no UTF-8 are lone surrogates (PEP 383).

    `goes_on`: the text goes on in the next line of this process. A line without a time has no `pid`.
    """

    at: str
    pid: int | None
    goes_on: bool
    text: str


def parse(line: bytes) -> LogLine:
    """`line`, without its newline."""
    found = _PREFIX.match(line)
    if not found:
        return LogLine("", None, False, line.decode("utf-8", "surrogateescape"))  # noqa: FBT003
    text = line[found.end() :].decode("utf-8", "surrogateescape")
    return LogLine(found[1].decode(), int(found[2]), bool(found[3]), text)


def text_of(line: str) -> str:
    """`line` as the process wrote it."""
    return parse(line.encode("utf-8", "surrogateescape")).text


@functools.lru_cache(1024)
def source(name: str) -> tuple[str, int | None] | None:
    """Process type and release of the log `name` (without .log), such as web.43; None: it is no such log.

    circusd's own log and that of the program that forwards the public port are of no release.
    """
    found = _NAME.fullmatch(name)
    return (found[1], int(found[2]) if found[2] else None) if found else None
