"""[advisories] of mirror.toml: which vulnerabilities are ignored until when, and which age is too old."""

from datetime import date
from typing import Annotated, Any

import pydantic

from packhorse.settings import Settings, array, matching

AdvisoryId = Annotated[str, matching(r"[A-Za-z0-9][A-Za-z0-9._:-]*", 'an id such as "PYSEC-2024-36"', 100)]


def _from_text(value: Any) -> Any:  # noqa: ANN401 (whatever the file has)
    return {"id": value} if isinstance(value, str) else value


class Ignored(Settings):
    """A vulnerability that is not reported, by any of its ids; `until` is the first day that it is again."""

    id: AdvisoryId
    until: date | None = None
    reason: Annotated[str, pydantic.Field(max_length=500)] = ""

    def holds(self, today: date) -> bool:
        """Whether it is ignored on this day."""
        return self.until is None or today < self.until


class Advisories(Settings):
    """The table; `ignore` has ids, or tables of id, until and reason."""

    max_days_old: Annotated[int, pydantic.Field(ge=1)] = 14  # older ones are warned about
    ignore: Annotated[
        tuple[Annotated[Ignored, pydantic.BeforeValidator(_from_text)], ...], array("PYSEC-2024-36")
    ] = ()

    def as_json(self) -> list[dict[str, str | None]]:
        """The ignored vulnerabilities, as the server keeps them."""
        return [
            {"id": each.id, "until": each.until.isoformat() if each.until else None} for each in self.ignore
        ]

    def ignored(self, names: set[str], today: date) -> Ignored | None:
        """The entry that lets a vulnerability with these ids pass today, if there is one."""
        return next((each for each in self.ignore if each.id in names and each.holds(today)), None)

    def expired(self, names: set[str], today: date) -> Ignored | None:
        """The entry that let a vulnerability with these ids pass before today."""
        return next((each for each in self.ignore if each.id in names and not each.holds(today)), None)
