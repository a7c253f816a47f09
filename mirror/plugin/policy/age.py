"""The rule that files must have been known for some time: most malware is found within days."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from mirror.plugin.policy import names
from mirror.plugin.policy.evaluation import Fact, Judge, Refusal
from mirror.plugin.policy.facts import FileFacts, ProjectFacts
from mirror.plugin.policy.names import Named
from mirror.plugin.simple import file_rows
from mirror.plugin.simple.file_rows import Rows

_USUAL = re.compile(file_rows.USUAL_TIME)
_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


class MinimumAge:
    """Upstream files that are younger are not listed, by upload time and by when they were first seen."""

    name, judges_uploads = "minimum_age", False
    decides_by: tuple[Fact, ...] = ("first seen",)

    def __init__(
        self, seconds: float, exempt: Sequence[str] = (), *, trust_upload_times: bool = True
    ) -> None:
        self._seconds = seconds
        self._exempt = names.parse_all(exempt)
        self._trusting = trust_upload_times

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> "MinimumAge":
        """The rule of {"seconds": …, "exempt": […], …}. Raises TypeError, ValueError."""
        rule = cls(**value)
        if not rule._seconds > 0:
            raise ValueError(f"{value['seconds']} is no age")
        return rule

    def about(self, project: ProjectFacts, now: float) -> Judge | None:
        exempt = names.those_of(self._exempt, project.name)
        if any(named.versions is None for named in exempt):
            return None
        # Texts of one form sort as their times do: of thousands of files, hardly any needs more than a look.
        latest = datetime.fromtimestamp(now - self._seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        seen, since = project.first_seen, project.seen_since
        page = project.page if seen and self._trusting else None
        if (
            page is not None
            and seen
            and _all_old(page, latest)
            and {since}.issuperset(map(seen, page.filenames()))
        ):
            return None

        def judge(file: FileFacts) -> Refusal | None:
            uploaded = file.upload_time
            is_old = uploaded is not None and uploaded < latest and _USUAL.fullmatch(uploaded)
            if is_old and seen and self._trusting and seen(file.filename) == since:
                return None
            return self._young(now, exempt, file)

        return judge

    def _young(self, now: float, exempt: Sequence[Named], file: FileFacts) -> Refusal | None:
        if any(named.has_version(file) for named in exempt):
            return None
        begin = self._begin(file)
        if begin is None:
            return Refusal(f"nobody knows since when {file.filename} is there, so that it counts as young")
        until = begin + self._seconds
        if until <= now:
            return None
        when = datetime.fromtimestamp(min(until, 253370764800), UTC).strftime("%Y-%m-%d %H:%M UTC")
        return Refusal(
            f"{file.filename} is not yet {in_words(self._seconds)} old: it is listed from {when} on;"
            " take an older version until then, or ask to exempt the project",
            until,
        )

    def _begin(self, file: FileFacts) -> float | None:
        """The time from which the file ages.

        With the first page of a project, all its files are new here: their upload times are believed then.
        """
        seen = file.project.first_seen
        first = seen(file.filename) if seen else None
        if first is None:
            return None
        uploaded = seconds_of(file.upload_time)
        is_past = first == file.project.seen_since
        if uploaded is None:
            return first
        return uploaded if is_past and self._trusting else max(uploaded, first)

    def describe(self) -> str:
        words = f"files of upstreams are listed {in_words(self._seconds)} after they appeared"
        trust = "" if self._trusting else ", upload times are not believed"
        exempt = f"; exempt: {', '.join(map(str, self._exempt))}" if self._exempt else ""
        return words + trust + exempt


def _all_old(page: Rows, latest: str) -> bool:
    last = page.summary.latest_upload
    return last is not None and last < latest


def seconds_of(upload_time: str | None) -> float | None:
    """Seconds since the epoch; None for what is no time (PEP 700)."""
    try:
        moment = datetime.fromisoformat(upload_time or "")
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def in_words(seconds: float) -> str:
    """An age as mirror.toml has it: 7d, 36h."""
    name, size = next(((name, size) for name, size in _UNITS if seconds % size == 0), _UNITS[-1])
    return f"{seconds / size:g}{name}"
