"""The promises of packhorse.calendar."""

from datetime import UTC, datetime

import pytest

from packhorse import calendar
from packhorse.errors import PackhorseError

BERLIN = """\
  Original form: daily
Normalized form: *-*-* 00:00:00
    Next elapse: Tue 2025-11-25 00:00:00 CET
       (in UTC): Mon 2025-11-24 23:00:00 UTC
       From now: 1 year 0 months ago
"""


def test_the_time_is_that_of_utc() -> None:
    """The host's zone may have names that we do not know."""
    assert calendar.parse(BERLIN) == datetime(2025, 11, 24, 23, tzinfo=UTC).timestamp()
    assert calendar.parse("    Next elapse: never\n") is None


@pytest.mark.needs("systemd-analyze")
def test_the_earliest_of_several_counts() -> None:
    """A line of cron with both days stands for two expressions."""
    base = datetime(2025, 11, 1, tzinfo=UTC).timestamp()
    both = calendar.next_time(["*-*-13 09:00:00 UTC", "Fri *-*-* 09:00:00 UTC"], base)
    assert both == datetime(2025, 11, 7, 9, tzinfo=UTC).timestamp()
    assert calendar.next_time(["2020-01-01"], base) is None
    with pytest.raises(PackhorseError, match="no time of systemd"):
        calendar.next_time(["Foo *-*-*"], base)
