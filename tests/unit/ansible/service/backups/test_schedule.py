"""The promises of packhorse_service.backups.schedule: a timer that makes no backups is noticed in time."""

import pytest
from packhorse_service import programs
from packhorse_service.backups import schedule

LAST = 1_767_225_600.0  # 2026-01-01T00:00:00Z, a Thursday
HOUR, DAY = 3600, 86400


def said(*times: str, zone: str = "UTC") -> str:
    """What systemd-analyze prints."""
    names = ("    Next elapse", "       Iter. #2", "   Iteration #3")
    lines = ["  Original form: x", "Normalized form: *-*-* 00:00:00"]
    for name, time in zip(names, times, strict=False):
        if zone == "UTC":
            lines += [f"{name}: Thu {time} UTC"]
        else:
            lines += [f"{name}: Thu 2031-01-01 00:00:00 {zone}", f"       (in UTC): Thu {time} UTC"]
        lines += ["       From now: 10 months 24 days ago"]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("times", "late"),
    [
        (("2026-01-02 00:00:00", "2026-01-03 00:00:00"), 2 * DAY),  # daily
        (("2026-01-01 06:00:00", "2026-01-01 12:00:00"), 12 * HOUR),  # each six hours
        (("2026-01-01 00:05:00", "2026-01-01 00:10:00"), 300 + HOUR),  # it takes some time, and is delayed
        (("2026-01-05 00:00:00", "2026-01-12 00:00:00"), 5 * DAY),  # weekly: a day is enough
        (("2026-01-31 00:00:00",), 31 * DAY),  # a last time
        ((), None),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "CET"])
def test_a_backup_has_a_successor_by_then(
    monkeypatch: pytest.MonkeyPatch, times: tuple[str, ...], late: float | None, zone: str
) -> None:
    """For each calendar expression, in the time zone of the host."""
    asked: list[list[str]] = []

    def run(command: list[str]) -> str:
        asked.append(command)
        return said(*times, zone=zone) if times else "    Next elapse: never"

    monkeypatch.setattr(programs, "run", run)
    found = schedule.overdue("-x", LAST)
    assert found == (LAST + late if late else None)
    assert asked[0][-4:] == ["--base-time=@1767225600", "--iterations=2", "--", "-x"]
