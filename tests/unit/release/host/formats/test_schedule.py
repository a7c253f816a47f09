"""The promises of release.host.formats.schedule."""

import shutil
import subprocess

import pytest

from packhorse.errors import PackhorseError
from release.host.formats import schedule

GOOD = [
    ("30 3 * * *", ["*-*-* 3:30:00"]),
    ("*/20 0-6/3 1,15 jan-mar *", ["*-1,2,3-1,15 0,3,6:0,20,40:00"]),
    ("0 9 * * 1-5", ["Mon,Tue,Wed,Thu,Fri *-*-* 9:0:00"]),
    ("0 9 * * sun,7,0", ["Sun *-*-* 9:0:00"]),
    ("5/20 * * * *", ["*-*-* *:5,25,45:00"]),
    ("0 9 13 * fri", ["*-*-13 9:0:00", "Fri *-*-* 9:0:00"]),  # cron: either
    ("0 9 */2 * fri", ["Fri *-*-1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31 9:0:00"]),  # both, as cron has it
    ("@daily", ["daily"]),
    ("@midnight", ["daily"]),
    ("daily", ["daily"]),
    ("Mon *-*-1..7 03:00:00 Europe/Berlin", ["Mon *-*-1..7 03:00:00 Europe/Berlin"]),
]


@pytest.mark.parametrize(("text", "calendars"), GOOD)
def test_cron_and_systemd_are_understood(text: str, calendars: list[str]) -> None:
    """People know one or the other."""
    assert schedule.calendars(text) == calendars
    if program := shutil.which("systemd-analyze"):
        for calendar in calendars:
            subprocess.run([program, "calendar", "--", calendar], check=True, capture_output=True)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "*/0 * * * *"),
        *(
            "5-1 * * * *",
            "1- * * * *",
            "* * * foo *",
            "a\nb",
            "daily; reboot",
            "--help\0",
            "$(id)",
            "x" * 300,
        ),
        *("1,,2 * * * *", "@reboot", "²  * * * *", "² * * * *"),
    ],
)
def test_what_is_neither_is_refused(text: str) -> None:
    """It would fail on the host only, or reach a program as something else."""
    with pytest.raises(PackhorseError):
        schedule.calendars(text)
