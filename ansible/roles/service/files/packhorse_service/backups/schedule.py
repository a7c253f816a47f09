"""Find databases that have missed a backup: systemd says when their timers were due."""

import re
from datetime import UTC, datetime

from packhorse_service import programs

HOUR, DAY = 3600.0, 86400.0


def overdue(calendar: str, last: float) -> float | None:
    """The time at which a backup that was made at `last` should have had a successor; None: it gets none.

    Two turns of the timer later, but a day after the first one at most. Raises ServiceError.
    """
    command = ["systemd-analyze", "calendar", f"--base-time=@{int(last)}", "--iterations=2", "--", calendar]
    due = parse(programs.run(command))
    if not due:
        return None
    return due[0] + min(max(due[-1] - due[0], HOUR), DAY) if len(due) > 1 else due[0] + DAY


def parse(text: str) -> list[float]:
    """The times in what systemd-analyze says; in another time zone than UTC it says each in both."""
    found = re.findall(r"\(in UTC\): \w+ ([\d-]+ [\d:]+) UTC", text) or re.findall(
        r"(?:Next elapse|#\d+): \w+ ([\d-]+ [\d:]+) UTC", text
    )
    return [datetime.strptime(each, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp() for each in found]
