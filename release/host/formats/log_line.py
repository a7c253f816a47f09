"""Lines of an application's logs: `TIME PID TEXT`, as runtime/supervisor.py writes them, or just TEXT.

Those without a time are of a circusd that an earlier version started, or of no process at all.
"""

import re

_PREFIX = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z \d{1,10}\+? ")


def text_of(line: str) -> str:
    """`line` as the process wrote it."""
    return _PREFIX.sub("", line, count=1) if _PREFIX.match(line) else line
