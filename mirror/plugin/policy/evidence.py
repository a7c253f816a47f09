"""Evidence: what is found out about files besides what their page says. Provenance (PEP 740), licenses."""

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeVar

import msgspec

AttestedPublisher = Mapping[str, str]  # as in a provenance object, without what certificates do not prove
Kind = Literal["provenance", "license"]


class Provenance(msgspec.Struct, frozen=True, omit_defaults=True):
    """The publishers for whom the attestations of a file verify, or why there is none."""

    sha256: str  # of the file that was looked at
    publishers: tuple[dict[str, str], ...] = ()
    problem: str = ""
    again: float | None = None  # when a problem may be over (seconds since the epoch); None: never


class License(msgspec.Struct, frozen=True, omit_defaults=True):
    """License of a wheel as its metadata state it, or the reason why nobody knows."""

    sha256: str
    expression: str = ""
    classifiers: tuple[str, ...] = ()
    text: str = ""
    problem: str = ""
    again: float | None = None

    @property
    def stated(self) -> tuple[str, tuple[str, ...], str]:
        """Equal for wheels that state the same."""
        return self.expression, self.classifiers, self.text


class Evidence(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that was found out about the files of a project, by their names."""

    provenance: dict[str, Provenance] = {}
    licenses: dict[str, License] = {}
    pinned: tuple[dict[str, str], ...] = ()  # the publishers of the first file that verified
    is_damaged: bool = False  # a record could not be read: whose file was the first, nobody knows


class Wanted(NamedTuple):
    """Evidence that a rule needs before it can decide."""

    kind: Kind
    filename: str
    pins: bool = False  # its publishers are expected from now on, if it is the first that verifies


R = TypeVar("R", Provenance, License)


def valid(records: Mapping[str, R], filename: str, hashes: Mapping[str, str]) -> R | None:
    """The record of this file, not of another one of its name."""
    found = records.get(filename)
    return found if found and found.sha256 == hashes.get("sha256", "") else None


def is_due(record: Provenance | License | None, now: float) -> bool:
    """Whether it is time to look at the file: for the first time, or again after a problem."""
    return record is None or (bool(record.problem) and record.again is not None and record.again <= now)
