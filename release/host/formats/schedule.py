"""Times at which a job runs: five fields of cron(5), or a calendar expression of systemd.time(7)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from packhorse.errors import PackhorseError

CALENDAR = r"[A-Za-z0-9*:/,. ~_+-]{1,200}"
"""The characters of one; systemd-analyze, on the hosts, knows the rest."""
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTHS = tuple("jan feb mar apr may jun jul aug sep oct nov dec".split())  # noqa: SIM905  # readable
_MACROS = {"@hourly", "@daily", "@weekly", "@monthly", "@yearly", "@annually", "@midnight"}


@dataclass(frozen=True)
class _Field:
    """A field of cron: its numbers, and their names, the first of which is the `lowest`."""

    name: str
    lowest: int
    highest: int
    names: Sequence[str] = ()


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 7, _DAYS),
)
_ITEM = re.compile(r"(\*|(?P<first>[a-z0-9]+)(-(?P<last>[a-z0-9]+))?)(/(?P<step>[0-9]{1,2}))?", re.IGNORECASE)
_HINT = 'Write it as cron does ("0 3 * * *"), or as systemd does ("daily", "Mon *-*-* 03:00")'


def calendars(text: str) -> list[str]:
    """The expressions of systemd at which `text` is due: each of them. Raises PackhorseError."""
    fields = text.split()
    if text in _MACROS:
        return ["daily" if text == "@midnight" else text[1:]]
    if len(fields) == 5 and all(re.fullmatch(r"[a-z0-9*,/-]+", field, re.IGNORECASE) for field in fields):
        return _cron(fields)
    if not re.fullmatch(CALENDAR, text) or text.strip() != text:
        raise PackhorseError(f'"{text}" is no time of systemd or cron.', _HINT)
    return [text]


def _cron(fields: Sequence[str]) -> list[str]:
    """Both days count when both are restricted: then a job is due on either (crontab(5))."""
    numbers = [_numbers(text, field) for text, field in zip(fields, _FIELDS, strict=True)]
    minutes, hours, days, months = (
        "*" if field == "*" else ",".join(map(str, sorted(found)))
        for field, found in zip(fields[:4], numbers[:4], strict=True)
    )
    weekdays = ",".join(_DAYS[day].title() for day in sorted({day % 7 for day in numbers[4]}))
    time = f"{hours}:{minutes}:00"
    if fields[4].startswith("*") or fields[2].startswith("*"):
        prefix = "" if fields[4] == "*" else f"{weekdays} "
        return [f"{prefix}*-{months}-{days} {time}"]
    return [f"*-{months}-{days} {time}", f"{weekdays} *-{months}-* {time}"]


def _numbers(text: str, field: _Field) -> set[int]:
    """The numbers that `text` stands for in this field."""
    lowest, highest, name = field.lowest, field.highest, field.name

    def number(word: str) -> int:
        if word.lower() in field.names:
            return field.names.index(word.lower()) + lowest
        if not (word.isascii() and word.isdigit() and lowest <= int(word) <= highest):
            raise PackhorseError(f'"{word}" is no {name} of cron: {lowest} to {highest}.', _HINT)
        return int(word)

    found: set[int] = set()
    for item in text.split(","):
        matched = _ITEM.fullmatch(item)
        if not matched or matched["step"] == "0":
            raise PackhorseError(f'"{item}" is no {name} of cron.', _HINT)
        first = number(matched["first"]) if matched["first"] else lowest
        last = number(matched["last"]) if matched["last"] else first
        if not matched["first"] or (matched["step"] and not matched["last"]):
            last = highest
        step = int(matched["step"] or 1)
        if first > last or step < 1:
            raise PackhorseError(f'"{item}" is no {name} of cron.', _HINT)
        found.update(range(first, last + 1, step))
    return found
