"""Ask systemd when a calendar expression (systemd.time(7)) is due."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from packhorse import process
from packhorse.errors import PackhorseError

PROGRAM = "/usr/bin/systemd-analyze"
ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}
TIMEOUT = 10.0


def next_time(calendars: Sequence[str], after: float) -> float | None:
    """The first time after `after` at which one of `calendars` is due, by the clock; None: there is none.

    Raises PackhorseError for an expression that is none.
    """
    due = [time for each in calendars if (time := _next(each, after)) is not None]
    return min(due, default=None)


def _next(calendar: str, after: float) -> float | None:
    command = [PROGRAM, "calendar", f"--base-time=@{int(after)}", "--", calendar]
    try:
        done = process.run(command, env=ENVIRONMENT, timeout=TIMEOUT)
    except FileNotFoundError:
        raise PackhorseError(f"There is no {PROGRAM} on this host.", "Install systemd.") from None
    if done.status:
        raise process.failure(
            done,
            f'"{calendar}" is no time of systemd.',
            'systemd.time(7) has the syntax, such as "Mon 06:00" or "*-*-* 0/6:00".',
        )
    return parse(done.stdout)


def parse(text: str) -> float | None:
    """The time in what systemd-analyze says; in another time zone than UTC it says it in both."""
    found = re.search(r"\(in UTC\): \w+ ([\d-]+ [\d:]+) UTC", text) or re.search(
        r"Next elapse: \w+ ([\d-]+ [\d:]+) UTC", text
    )
    if not found:
        return None
    return datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
