"""The versions of an uploaded project and the rows of their files, in parts: an upload stores one part anew.

devpi keeps every value that there ever was, and stores lists of all versions and files of a project at each
upload: 5,000 uploads of 1 kB left 2 GB. Here a project is spread over so many parts, by the checksum of the
version, that one has some dozens of versions. Parts are ordinary keys of devpi's database: what a transaction
sees fits together, and replicas get them as everything else.
"""

import json
import re
import zlib
from collections.abc import Iterable
from typing import Any, NamedTuple

PART = "PACKHORSE_PART"
_PATH = "{user}/{index}/{project}/.part/{number}"
LARGEST = 32  # versions in a part on average, before there are twice as many parts
# In PROJSIMPLELINKS: how many parts and versions there are, and a number that grows with each change, so that
# this key changes too: what depends on the project looks at no other.
PARTS, VERSIONS, CHANGES = "packhorse_parts", "packhorse_versions", "packhorse_changes"

_DIGITS = re.compile(r"(\d+)")
_Part = dict[str, str]  # version -> its rows


class VersionRows(NamedTuple):
    """A version, and the rows (simple/file_rows.py) of its files, one a line."""

    version: str
    rows: str


def add_keys(keyfs: Any) -> None:
    """Declare our keys."""
    keyfs.add_key(PART, _PATH, bytes)


class ProjectParts:
    """The parts of one project on one index, in the present transaction."""

    def __init__(self, keyfs: Any, head: Any) -> None:
        """`head`: the PROJSIMPLELINKS key of the project."""
        self._key = keyfs.get_key(PART)
        self._head = head

    def __bool__(self) -> bool:
        """Whether the project is stored so. An older version of ours, or devpi alone, stored it otherwise."""
        return PARTS in self._head.get()

    def __len__(self) -> int:
        """Number of the versions."""
        return int(self._head.get()[VERSIONS])

    def read(self) -> list[VersionRows]:
        """All versions, in no order."""
        parts = map(self._read, range(self._head.get()[PARTS]))
        return [VersionRows(*item) for part in parts for item in part.items()]

    def rows_of(self, version: str) -> str:
        """The rows of one version, "" when it is not there."""
        return self._read(_number(version, self._head.get()[PARTS])).get(version, "")

    def fill(self, found: Iterable[VersionRows]) -> None:
        """Store all versions of a project that is not in parts yet."""
        self._spread(dict(found), 0)

    def put(self, version: str, rows: str) -> None:
        """Store the rows of a version."""
        head = self._head.get()
        number = _number(version, head[PARTS])
        part = self._read(number)
        versions = head[VERSIONS] + (version not in part)
        part[version] = rows
        self._write(number, part)
        self._set_head(head[PARTS], versions, head[CHANGES] + 1)
        if versions > LARGEST * head[PARTS]:
            every = [self._read(each) for each in range(head[PARTS])]
            self._spread({name: known for each in every for name, known in each.items()}, head[CHANGES] + 1)

    def remove(self, version: str) -> None:
        """Forget a version."""
        head = self._head.get()
        number = _number(version, head[PARTS])
        part = self._read(number)
        del part[version]
        self._write(number, part)
        self._set_head(head[PARTS], head[VERSIONS] - 1, head[CHANGES] + 1)

    def delete(self) -> None:
        """Forget the project."""
        for number in range(self._head.get()[PARTS]):
            self._part(number).delete()
        self._head.delete()

    def _spread(self, known: _Part, changes: int) -> None:
        parts = 1
        while parts * LARGEST < len(known):
            parts *= 2
        spread: list[_Part] = [{} for _ in range(parts)]
        for version, rows in known.items():
            spread[_number(version, parts)][version] = rows
        for number, part in enumerate(spread):
            self._write(number, part)
        self._set_head(parts, len(known), changes)

    def _set_head(self, parts: int, versions: int, changes: int) -> None:
        self._head.set({PARTS: parts, VERSIONS: versions, CHANGES: changes})

    def _part(self, number: int) -> Any:
        return self._key(**self._head.params, number=str(number))

    def _read(self, number: int) -> _Part:
        packed = self._part(number).get()
        return json.loads(zlib.decompress(packed)) if packed else {}

    def _write(self, number: int, part: _Part) -> None:
        """devpi keeps text as it is."""
        self._part(number).set(zlib.compress(json.dumps(part, separators=(",", ":")).encode(), 1))


def in_order(found: Iterable[VersionRows]) -> list[VersionRows]:
    """Sort by versions, 1.9 before 1.10: the same after an export, which has no order."""
    return sorted(found, key=lambda each: (_sort_key(each.version), each.version))


def _sort_key(version: str) -> list[Any]:
    texts = _DIGITS.split(version)  # each second one is a number
    texts[1::2] = [number.lstrip("0") for number in texts[1::2]]
    return [(len(text), text) if place % 2 else text for place, text in enumerate(texts)]


def _number(version: str, parts: int) -> int:
    return zlib.crc32(version.encode()) % parts
