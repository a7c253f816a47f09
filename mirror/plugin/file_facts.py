"""What is known about a file: a tuple to decide by, or a row of text to keep, compare and show.

A page may have ten thousand files, of which hardly any is ever asked for: rows are made, stored and
shown without being read. A row is the file's JSON as PEP 691 names things, with devpi's path as `url`
(percent-encoded), and the upstream's URL as `from` (uploads have none):

    {"filename":"demo-1.0.zip","url":"root/pypi/+f/abc/…/demo-1.0.zip","from":"https://…","hashes":{…}…}

The first three have no escaped quotes and stand in this order, and a row has no line break: who cuts
it up may rely on that. A mirrored wheel of which the upstream offers no metadata has
`"core-metadata":false`.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from json.encoder import encode_basestring_ascii as quoted
from types import MappingProxyType
from typing import Any, NamedTuple, overload
from urllib.parse import quote, unquote

_BEGIN = '{"filename":"'
_PLAIN = re.compile(r"[A-Za-z0-9_./+~-]*+")  # as part of a URL it needs no quoting


class FileFacts(NamedTuple):
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
    core_metadata: bool | Mapping[str, str] = False  # as upstream said it (PEP 658, PEP 714)
    provenance: str | None = None  # URL (PEP 740)

    @property
    def is_wheel(self) -> bool:
        return self.filename.endswith(".whl")


class Rows(Sequence[FileFacts]):
    """Files as rows; who looks at one of them gets the tuple."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = list(texts)

    def __len__(self) -> int:
        return len(self.texts)

    def __iter__(self) -> Iterator[FileFacts]:
        return map(file_of, self.texts)

    @overload
    def __getitem__(self, at: int) -> FileFacts: ...
    @overload
    def __getitem__(self, at: slice) -> "Rows": ...
    def __getitem__(self, at: int | slice) -> "FileFacts | Rows":
        return Rows(self.texts[at]) if isinstance(at, slice) else file_of(self.texts[at])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self.texts == rows(other)

    def __hash__(self) -> int:
        return hash(tuple(self.texts))


def rows(files: Sequence[FileFacts]) -> list[str]:
    """The rows of `files`."""
    return files.texts if isinstance(files, Rows) else [row(file) for file in files]


def row(file: FileFacts) -> str:
    """The row of one file."""
    origin = f',"from":"{_text(file.url)}"' if file.url else ""
    return (
        f'{_BEGIN}{_text(file.filename)}","url":"{quoted_path(file.path)}"{origin}'
        f',"hashes":{as_json(file.hashes)}{optional(file)}}}'
    )


def file_of(text: str) -> FileFacts:
    """The file of a row."""
    said = json.loads(text)
    return FileFacts(
        said["filename"],
        unquote(said["url"]),
        said.get("from", ""),
        said["hashes"],
        said.get("requires-python"),
        said.get("yanked", False),
        said.get("size"),
        said.get("upload-time"),
        said.get("core-metadata", False),
        said.get("provenance"),
    )


def filename_of(text: str) -> str:
    """The file name in a row, as JSON without its quotes."""
    return text[len(_BEGIN) : text.index('"', len(_BEGIN))]


def optional(file: FileFacts) -> str:
    """The members that not every file has, and `yanked`; each after a comma."""
    _, _, _, _, python, yanked, size, time, metadata, provenance = file
    promised = bool(file.url) and file.is_wheel and key_of(file.hashes) is not None
    members: dict[str, Any] = {
        "upload-time": time,
        "requires-python": python,
        "size": size,
        "yanked": yanked,
        # Under its name of PEP 714 only: some versions of pip stumble over the first name in JSON.
        "core-metadata": metadata or (False if promised else None),
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
