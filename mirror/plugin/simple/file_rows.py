"""The files of a project: a tuple to decide by, and a row of text to keep and to show.

A page may have ten thousand files, of which hardly any is ever asked for: rows are made, stored and
shown without being read. A row is the file's object on a PEP 691 page of any index, in ASCII:

    {"filename":"demo-1.0.zip","url":"../../../../root/pypi/+f/abc/…/demo-1.0.zip","hashes":{…}…}

A row has no line break, and the first three members stand in this order: only this module relies on
that. What a page does not show is the file's origin, a text of its own: the upstream's URL, after a "+"
if the upstream offers the metadata of the wheel as a file.
"""

import json
import re
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from json.encoder import encode_basestring_ascii as quoted
from types import MappingProxyType
from typing import NamedTuple, overload
from urllib.parse import quote, unquote

import msgspec

ROOT = "../../../../"  # of devpi, relative to a page: /user/index/+simple/project/
_ROW_BEGINS = '{"filename":"'
_FILENAME = re.compile(r'\{"filename":"([^"\\]*+(?:\\.[^"\\]*+)*+)"')
_HASHED = re.compile(r'","url":"[./]*[^/"]+/[^/"]+/\+f/')
_SIZE = ',"size":'
_SHA256 = ',"hashes":{"sha256":"'
# As parts of a URL these need no quoting. An expression takes three times as long for a page.
_PLAIN = f"{string.ascii_letters}{string.digits}_./+~-".encode()
_HEX = re.compile(r"[0-9a-f]{32,128}")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
# The usual form of upload times: any two of them compare as texts, to the second.
USUAL_TIME = r"[12][0-9]{3}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?Z"
_TIMES = re.compile(f"(?:{USUAL_TIME},)*+")


class FileObject(msgspec.Struct, omit_defaults=True, rename="kebab"):
    """A file as a PEP 691 page describes it. In a row, `url` is ROOT and where devpi keeps the file."""

    filename: str
    url: str
    hashes: dict[str, str]
    upload_time: str | None = None
    requires_python: str | None = None
    size: int | None = None
    yanked: bool | str | None = None
    # In rows only under its name of PEP 714: some versions of pip stumble over the first name in JSON.
    core_metadata: bool | dict[str, str] | None = None
    dist_info_metadata: bool | dict[str, str] | None = None
    provenance: str | None = None


_encode = msgspec.json.Encoder().encode_lines
_decode = msgspec.json.Decoder(FileObject).decode
_decode_all = msgspec.json.Decoder(list[FileObject]).decode


class ProjectFile(NamedTuple):
    """One file of a project, as upstream described it or as we know it from an upload.

    None means unknown; pages leave such a key out.
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


class Summary(NamedTuple):
    """Facts about all files of a page: a rule that they prove to pass them all need look at none."""

    filenames: Sequence[str]
    latest_upload: (
        str | None
    )  # PEP 700; None unless all files have a time of the usual form, "" without files
    has_yanks: bool

    @classmethod
    def of(cls, files: Sequence[FileObject]) -> "Summary":
        """Sum files up, in a tenth of the time that it takes to read them."""
        times = [file.upload_time or "" for file in files]
        text = ",".join([*times, ""])
        are_usual = text.count(",") == len(times) and _TIMES.fullmatch(text)
        return cls(
            [file.filename for file in files],
            max(times, default="") if are_usual else None,
            any(file.yanked for file in files),
        )

    @property
    def has_wheels_only(self) -> bool:
        return "\n".join([*self.filenames, ""]).count(".whl\n") == len(self.filenames)


class Rows(Sequence[ProjectFile]):
    """Files as lines of text: their rows, and their origins; who looks at one of them gets the tuple."""

    def __init__(self, text: str, origins: str = "", summary: Summary | None = None) -> None:
        """Without any origin, one line of which would be empty, `origins` may be empty as a whole.

        `summary`, if it is known.
        """
        self.text = text
        self.origins = origins
        if summary is not None:
            self.summary = summary
            self._filenames = summary.filenames

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> "Rows":
        """Make them of rows and origins."""
        listed = list(pairs)
        return cls("\n".join([row for row, _ in listed]), _lines([origin for _, origin in listed]))

    @classmethod
    def of_objects(cls, files: Sequence[FileObject], origins: Sequence[str]) -> "Rows":
        """Make them of what rows are the JSON of, and of origins."""
        text = _encode(files).decode().removesuffix("\n")
        if not text.isascii():
            text = _NOT_ASCII.sub(lambda character: quoted(character[0])[1:-1], text)
        return cls(text, _lines(origins), Summary.of(files))

    def pairs(self) -> list[tuple[str, str]]:
        """The rows and origins of all files."""
        if not self.text:
            return []
        lines = self.text.split("\n")
        origins = self.origins.split("\n") if self.origins else [""] * len(lines)
        return list(zip(lines, origins, strict=True))

    def filenames(self) -> Sequence[str]:
        """The names of all files."""
        return self._filenames

    @cached_property
    def _filenames(self) -> Sequence[str]:  # several parts need them, each time that a page is shown
        lines = self.text.split("\n") if self.text else []
        ends = len(_ROW_BEGINS)  # an expression would take twice as long
        found = [line[ends : line.index('"', ends)] for line in lines]
        return [
            _decode(line).filename if "\\" in name else name for line, name in zip(lines, found, strict=True)
        ]

    @cached_property
    def summary(self) -> Summary:
        """Facts about all files, which take a look at each unless who made the rows knew them."""
        return Summary.of(self.objects())

    def objects(self) -> list[FileObject]:
        """All files as the JSON of their rows describes them: half the cost of tuples."""
        return _decode_all(f"[{self.text.replace(chr(10), ',')}]")

    def sha256s(self) -> list[str] | None:
        """The sha256 of each file; None when one has none, or another hash before it."""
        # An expression would take as long as all else that a page needs.
        found = [after[:64] for after in self.text.split(_SHA256)[1:]]
        return found if len(found) == len(self) else None

    def named(self, filename: str) -> ProjectFile | None:
        """The file of this name."""
        begin = f"\n{self.text}".find(f"\n{_ROW_BEGINS}{quoted(filename)[1:]},")
        if begin < 0:
            return None
        end = self.text.find("\n", begin)
        return file_of(self.text[begin : end if end >= 0 else None], self._origin(filename, begin))

    def find(self, path: str) -> ProjectFile | None:
        """The file that devpi keeps at `path`, "user/name/+f/abc/…/demo-1.0.zip"."""
        first, second, name = path.split("/")[3:]
        part = f'":"{first}{second}'  # of a hash
        position = self.text.find(part)
        while position >= 0:
            begin, end = self.text.rfind("\n", 0, position) + 1, self.text.find("\n", position)
            found = self.text[begin : end if end >= 0 else None]
            if file_of(found, "").path == path:
                return file_of(found, self._origin(name, begin))
            position = self.text.find(part, begin + len(found))
        return None

    def _origin(self, name: str, begin: int) -> str:
        """The only one of the origins that ends with `name`, else that of the row which begins there."""
        lines, ending = f"{self.origins}\n", f"/{name}\n"
        found = lines.find(ending)
        if found >= 0 and lines.find(ending, found + 1) < 0:
            return lines[lines.rfind("\n", 0, found) + 1 : found + len(ending) - 1]
        number = self.text.count("\n", 0, begin)
        return lines.split("\n", number + 1)[number] if self.origins else ""

    def have_hashes(self) -> bool:
        """Whether the path of each file, on one index, tells a hash of it."""
        first = _HASHED.search(self.text)
        return not self or (first is not None and self.text.count(first[0]) == len(self))

    def have_sizes(self) -> bool:
        """Whether each file has a size."""
        first = self.text[: self.text.find("\n")]  # many indexes tell no size at all
        return not self or (_SIZE in first and self.text.count(_SIZE) == len(self))

    def __bool__(self) -> bool:
        return bool(self.text)  # without counting lines

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
    if isinstance(files, Rows):
        return files
    origins = [origin(file.url, offered=file.offered) for file in files]
    return Rows.of_objects([_object(file) for file in files], origins)


def row(file: ProjectFile) -> str:
    """The row of one file."""
    return rows([file]).text


def origin(url: str, *, offered: bool) -> str:
    """The line that belongs to a row."""
    return f"{'+' if offered else ''}{quoted(url)[1:-1]}"


def file_of(text: str, origin: str) -> ProjectFile:
    """The file of a row and an origin."""
    found = _decode(text)
    return ProjectFile(
        found.filename,
        unquote(found.url.removeprefix(ROOT)),
        json.loads(f'"{origin.removeprefix("+")}"'),
        found.hashes,
        found.requires_python,
        found.yanked or False,
        found.size,
        found.upload_time,
        found.core_metadata or False,
        found.provenance,
        origin.startswith("+"),
    )


def filename_of(text: str) -> str:
    """The file name in a row, as JSON without its quotes."""
    found = _FILENAME.match(text)
    return found[1] if found else ""


def promise(filename: str, hashes: Mapping[str, str]) -> bool:
    """Whether a file of an upstream has metadata: every wheel that has a usable hash (PEP 658)."""
    return filename.endswith(".whl") and key_of(hashes) is not None


def provenance_url(path: str) -> str:
    """URL on a page for the provenance of the file at `path`, if it is on this server.

    Relative as the URLs of files are: the same page is served under all names of the server.
    """
    return f"{ROOT}{quoted_path(path)}.provenance"


def quoted_path(path: str) -> str:
    """`path` as part of a URL."""
    return path if is_plain(path) else quote(path, "/+")


def is_plain(path: str) -> bool:
    """Whether `path` is the same as a part of a URL."""
    return not path.encode().translate(None, _PLAIN)


def best_hash(hashes: Mapping[str, str]) -> str:
    """The text sha256=… when there is one, else the first, "" without any."""
    name = "sha256" if "sha256" in hashes else next(iter(hashes), "")
    return f"{name}={hashes[name]}" if name else ""


def key_of(hashes: Mapping[str, str]) -> str | None:
    """Key of a wheel's metadata: its sha256, else another hash with its kind, else None."""
    kind = "sha256" if "sha256" in hashes else next(iter(hashes), "")
    value = hashes.get(kind, "").lower()
    if not _HEX.fullmatch(value):  # it becomes a file's name
        return None
    return value if kind == "sha256" else f"{kind}-{value}"


def _lines(origins: Sequence[str]) -> str:
    text = "\n".join(origins)
    return text if text.strip("\n") else ""


def _object(file: ProjectFile) -> FileObject:
    found = file.core_metadata
    return FileObject(
        file.filename,
        ROOT + quoted_path(file.path),
        dict(file.hashes),
        file.upload_time,
        file.requires_python,
        file.size,
        file.yanked,
        dict(found) if isinstance(found, Mapping) else found or None,
        None,
        file.provenance,
    )
