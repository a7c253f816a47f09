"""What is known about a file: a tuple to decide by, or a row of text to keep and to show.

A page may have ten thousand files, of which hardly any is ever asked for: rows are made, stored and
shown without being read. A row is the file's object on a PEP 691 page of any index, in ASCII:

    {"filename":"demo-1.0.zip","url":"../../../../root/pypi/+f/abc/…/demo-1.0.zip","hashes":{…}…}

The first two have no escaped quotes and stand in this order, and a row has no line break: who cuts
it up may rely on that. What a page does not show is the file's origin, a text of its own: the
upstream's URL, after a "+" if the upstream offers the metadata of the wheel as a file.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from json.encoder import encode_basestring_ascii as quoted
from types import MappingProxyType
from typing import Any, NamedTuple, overload
from urllib.parse import quote, unquote

ROOT = "../../../../"  # of devpi, relative to a page: /user/index/+simple/project/
_BEGIN = '{"filename":"'
_PLAIN = re.compile(r"[A-Za-z0-9_./+~-]*+")  # as part of a URL it needs no quoting


class ProjectFile(NamedTuple):
    """One file of a project, as upstream described it or as we know it from an upload.

    None means that nobody said; pages leave such a key out.
    """

    filename: str
    path: str  # where devpi keeps it: "root/pypi/+f/…/name.whl", no leading slash, no fragment
    url: str = ""  # where upstream has it, without credentials; "" for uploads
    hashes: Mapping[str, str] = MappingProxyType({})  # {"sha256": "…hex…"}, all that were given
    requires_python: str | None = None
    yanked: bool | str = False  # True or the reason (PEP 592)
    size: int | None = None  # bytes (PEP 700)
    upload_time: str | None = None  # "2024-01-31T12:00:00.000000Z" (PEP 700)
    core_metadata: bool | Mapping[str, str] = False  # what a page says of it (PEP 658, PEP 714)
    provenance: str | None = None  # URL (PEP 740)
    offered: bool = False  # whether the upstream has the metadata as a file of its own

    @property
    def is_wheel(self) -> bool:
        return self.filename.endswith(".whl")


class Rows(Sequence[ProjectFile]):
    """Files as lines of text: their rows, and their origins; who looks at one of them gets the tuple."""

    def __init__(self, text: str, origins: str = "") -> None:
        """Without any origin, one line of which would be empty, `origins` may be empty as a whole."""
        self.text = text
        self.origins = origins

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> "Rows":
        """Of rows and origins."""
        listed = list(pairs)
        origins = "\n".join([origin for _, origin in listed])
        return cls("\n".join([row for row, _ in listed]), origins if origins.strip("\n") else "")

    def pairs(self) -> list[tuple[str, str]]:
        """The rows and origins of all files."""
        if not self.text:
            return []
        lines = self.text.split("\n")
        origins = self.origins.split("\n") if self.origins else [""] * len(lines)
        return list(zip(lines, origins, strict=True))

    def __len__(self) -> int:
        return self._length

    @cached_property
    def _length(self) -> int:
        return self.text.count("\n") + 1 if self.text else 0

    def __iter__(self) -> Iterator[ProjectFile]:
        return (file_of(*pair) for pair in self.pairs())

    @overload
    def __getitem__(self, at: int) -> ProjectFile: ...
    @overload
    def __getitem__(self, at: slice) -> "Rows": ...
    def __getitem__(self, at: int | slice) -> "ProjectFile | Rows":
        return Rows.of(self.pairs()[at]) if isinstance(at, slice) else file_of(*self.pairs()[at])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        same = rows(other)
        return (self.text, self.origins) == (same.text, same.origins)

    def __hash__(self) -> int:
        return hash(self.text)


def rows(files: Sequence[ProjectFile]) -> Rows:
    """`files` as rows."""
    return files if isinstance(files, Rows) else Rows.of((row(file), origin(file)) for file in files)


def promised(file: ProjectFile) -> ProjectFile:
    """The file of an upstream, with the metadata that we promise: every wheel has some (PEP 658)."""
    said = file.core_metadata
    promise = file.is_wheel and key_of(file.hashes) is not None
    return file._replace(offered=bool(said), core_metadata=said or promise)


def row(file: ProjectFile) -> str:
    """The row of one file."""
    return (
        f'{_BEGIN}{_text(file.filename)}","url":"{ROOT}{quoted_path(file.path)}"'
        f',"hashes":{as_json(file.hashes)}{optional(file)}}}'
    )


def origin(file: ProjectFile) -> str:
    """The line that belongs to its row."""
    return f"{'+' if file.offered else ''}{_text(file.url)}"


def file_of(text: str, origin: str) -> ProjectFile:
    """The file of a row and an origin."""
    said = json.loads(text)
    return ProjectFile(
        said["filename"],
        unquote(said["url"].removeprefix(ROOT)),
        json.loads(f'"{origin.removeprefix("+")}"'),
        said["hashes"],
        said.get("requires-python"),
        said.get("yanked", False),
        said.get("size"),
        said.get("upload-time"),
        said.get("core-metadata", False),
        said.get("provenance"),
        origin.startswith("+"),
    )


def filename_of(text: str) -> str:
    """The file name in a row, as JSON without its quotes."""
    return text[len(_BEGIN) : text.index('"', len(_BEGIN))]


def optional(file: ProjectFile) -> str:
    """The members that not every file has, and `yanked`; each after a comma."""
    _, _, _, _, python, yanked, size, time, metadata, provenance, _ = file
    members: dict[str, Any] = {
        "upload-time": time,
        "requires-python": python,
        "size": size,
        "yanked": yanked,
        # Under its name of PEP 714 only: some versions of pip stumble over the first name in JSON.
        "core-metadata": metadata or None,
        "provenance": provenance,
    }
    return "".join(f',"{name}":{_json(value)}' for name, value in members.items() if value is not None)


def quoted_path(path: str) -> str:
    """`path` as part of a URL."""
    return path if _PLAIN.fullmatch(path) else quote(path, "/+")


def as_json(hashes: Mapping[str, str]) -> str:
    """The JSON of `hashes`."""
    return f"{{{','.join([f'{quoted(name)}:{quoted(value)}' for name, value in hashes.items()])}}}"


def best_hash(hashes: Mapping[str, str]) -> str:
    """The text sha256=… when there is one, else the first, "" without any."""
    name = "sha256" if "sha256" in hashes else next(iter(hashes), "")
    return f"{name}={hashes[name]}" if name else ""


def key_of(hashes: Mapping[str, str]) -> str | None:
    """What a wheel's metadata is filed under: its sha256, else another hash with its kind, else None."""
    kind = "sha256" if "sha256" in hashes else next(iter(hashes), "")
    value = hashes.get(kind, "").lower()
    if not re.fullmatch(r"[0-9a-f]{32,128}", value):  # it becomes a file's name
        return None
    return value if kind == "sha256" else f"{kind}-{value}"


def _json(value: str | bool | int | Mapping[str, str]) -> str:  # noqa: FBT001 (one of many kinds)
    if isinstance(value, str):
        return quoted(value)
    return as_json(value) if isinstance(value, Mapping) else json.dumps(value)


def _text(value: str) -> str:
    """The inside of a JSON string, in which a quote is written as its number."""
    return quoted(value)[1:-1].replace('\\"', "\\u0022")
