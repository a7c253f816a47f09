"""Check that an uploaded file is what its name and its form say: archive, metadata, RECORD and tags."""

import base64
import contextlib
import csv
import hashlib
import io
import re
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from typing import IO, NamedTuple

from packaging.metadata import parse_email
from packaging.tags import Tag, TooManyTagsError, parse_tag
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from mirror.plugin.metadata import wheel
from mirror.plugin.uploads import archives
from mirror.plugin.uploads.archives import InvalidUploadError, shown
from packhorse import filenames, sdists

CHUNK = 256 * 1024
LARGEST_WHEEL = 64 * 1024  # bytes of WHEEL
# Of METADATA, before its first empty line: each takes 14 µs, and each kind of field a look at all others.
# Descriptions stood there, and changelogs in them.
MOST_LINES, MOST_FIELDS = 20_000, 100
LONGEST_LINE = (
    16 * 1024
)  # characters of a line of RECORD: the longest path, each character of it quoted, and a hash
_SDISTS = (".tar.gz", ".tgz", ".tar.bz2", ".tar", ".zip")
# Installers that devpi takes, and nothing installs any more: of them only the beginning is checked.
_MAGIC = {".exe": b"MZ", ".msi": b"\xd0\xcf\x11\xe0", ".rpm": b"\xed\xab\xee\xdb", ".deb": b"!<arch>\n"}
_UNRECORDED = {"RECORD", "RECORD.jws", "RECORD.p7s"}  # of the .dist-info folder (PEP 427)


class Release(NamedTuple):
    """A name and a version, as written somewhere."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{shown(self.name)} {shown(self.version)}"

    def is_same(self, other: "Release") -> bool:
        """Whether both are the same after PEP 503 and PEP 440; versions from before that as text."""
        return canonicalize_name(self.name) == canonicalize_name(other.name) and _version(
            self.version
        ) == _version(other.version)


def _version(text: str) -> object:
    try:
        return Version(text.replace("_", "-"))  # as folders and files write what has a hyphen
    except InvalidVersion:
        return re.sub("[-_.+]+", "-", text).lower()


def check(filename: str, file: IO[bytes], stated: Release) -> None:
    """Raise InvalidUploadError unless `file` is a distribution of the release `stated`, as its name says."""
    with _read(file):
        _check(filename, file, stated)


def check_documentation(file: IO[bytes]) -> None:
    """Raise InvalidUploadError unless `file` is a zip archive, which devpi-web unpacks."""
    with _read(file):
        _check_whole(archives.open_zip(file))


@contextlib.contextmanager
def _read(file: IO[bytes]) -> Iterator[None]:
    try:
        yield
    except sdists.LimitError as error:
        raise InvalidUploadError(str(error)) from error
    except archives.BROKEN as error:
        if isinstance(error, OSError) and error.errno:  # of the disk, not of the archive
            raise
        raise InvalidUploadError(
            f"the file cannot be read as what its name says: {type(error).__name__}"
        ) from error
    finally:
        file.seek(0)


def _check(filename: str, file: IO[bytes], stated: Release) -> None:
    lower = filename.lower()
    if lower.endswith(".whl"):
        _check_wheel(filename, file, stated)
    elif lower.endswith(".egg"):
        name, _, rest = filename[:-4].partition("-")
        _agree("the file name", Release(name, rest.partition("-")[0]), stated)
        content = archives.read_member(archives.open_zip(file), "EGG-INFO/PKG-INFO", wheel.LARGEST)
        _check_metadata("PKG-INFO", content, stated)
    elif suffix := next((suffix for suffix in _SDISTS if lower.endswith(suffix)), ""):
        _check_sdist(filename[: -len(suffix)], suffix, file, stated)
    elif magic := _MAGIC.get(lower[-4:]):
        file.seek(0)
        if not file.read(len(magic)) == magic:
            raise InvalidUploadError(f"the file is no {lower[-3:]}")


def _agree(where: str, found: Release, stated: Release) -> None:
    if not found.is_same(stated):
        raise InvalidUploadError(f"{where} is of {found}, the form says {stated}")


def _check_metadata(where: str, content: bytes, stated: Release) -> None:
    metadata, _ = parse_email(_headers(where, content))
    _agree(where, Release(metadata.get("name", ""), metadata.get("version", "")), stated)


def _headers(where: str, content: bytes) -> bytes:
    """The headers in `content`, which end at the first empty line. Parsers of mail take long for many."""
    headers = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").partition(b"\n\n")[0]
    if headers.count(b"\n") >= MOST_LINES:
        raise InvalidUploadError(f"{where} has more than {MOST_LINES} lines before its description")
    fields = {name.lower() for name in re.findall(rb"^([^\s:]*):", headers, re.MULTILINE)}
    if len(fields) > MOST_FIELDS:
        raise InvalidUploadError(f"{where} has more than {MOST_FIELDS} fields of different names")
    return headers


def _check_sdist(stem: str, suffix: str, file: IO[bytes], stated: Release) -> None:
    parts = stem.split("-")
    splits = (Release("-".join(parts[:at]), "-".join(parts[at:])) for at in range(1, len(parts)))
    if not any(split.is_same(stated) for split in splits):
        raise InvalidUploadError(f"the file name is not of {stated}, as the form says")
    found = _pkg_info_of_zip(file) if suffix == ".zip" else _pkg_info_of_tar(file, suffix)
    if len(found) != 1:
        raise InvalidUploadError(f"the sdist has {len(found)} PKG-INFO in a folder at its top instead of one")
    _check_metadata("PKG-INFO", found[0], stated)


def _pkg_info_of_zip(file: IO[bytes]) -> list[bytes]:
    archive = archives.open_zip(file)
    _check_whole(archive)
    names = [name for name in archive.namelist() if _is_pkg_info(name)]
    return [archives.read_member(archive, name, wheel.LARGEST) for name in names[:2]]


def _pkg_info_of_tar(file: IO[bytes], suffix: str) -> list[bytes]:
    found: list[bytes] = []
    for member, read in archives.tar_members(file, suffix):
        if _is_pkg_info(member.name):
            found.append(b"" if found else read(wheel.LARGEST))  # of two, neither is looked at
    return found


def _check_whole(archive: zipfile.ZipFile) -> None:
    if broken := archive.testzip():
        raise InvalidUploadError(f"the archive is damaged at {shown(broken)}")


def _is_pkg_info(path: str) -> bool:
    return re.fullmatch(r"(?:\./)?[^/]+/PKG-INFO", path) is not None


def _check_wheel(filename: str, file: IO[bytes], stated: Release) -> None:
    named = filenames.parse(filename)
    if named is None:
        raise InvalidUploadError("the file name is not that of a wheel (PEP 427)")
    _agree("the file name", Release(named.project, str(named.version)), stated)
    archive = archives.open_zip(file)
    folder = _info_folder(archive, stated)
    metadata = archives.read_member(archive, f"{folder}/METADATA", wheel.LARGEST)
    _check_metadata("METADATA", metadata, stated)
    about = message_from_bytes(archives.read_member(archive, f"{folder}/WHEEL", LARGEST_WHEEL))
    if str(about.get("Wheel-Version", "")).partition(".")[0] != "1":
        raise InvalidUploadError("WHEEL has no Wheel-Version 1")
    tags = _tags(about)
    # Tools that repair a wheel add tags to its name, or to its WHEEL alone.
    if not tags or not (named.tags <= tags or tags <= named.tags):
        raise InvalidUploadError("the tags of the file name and those in WHEEL are not the same")
    _check_record(archive, folder)


def _tags(about: Message) -> set[Tag]:
    """The tags in WHEEL; a line of a few bytes may mean millions (PEP 425)."""
    found: set[Tag] = set()
    left = filenames.MOST_TAGS
    for line in about.get_all("Tag", ()):
        try:
            tags = parse_tag(str(line), limit=left)
        except TooManyTagsError as error:
            raise InvalidUploadError(f"WHEEL names more than {filenames.MOST_TAGS} tags") from error
        found |= tags
        left -= len(tags)
    return found


def _info_folder(archive: zipfile.ZipFile, stated: Release) -> str:
    """The .dist-info folder, the only one at the top."""
    folders = {name.partition("/")[0] for name in archive.namelist()}
    found = [folder for folder in folders if folder.lower().endswith(".dist-info")]
    if len(found) != 1:
        raise InvalidUploadError(f"the wheel has {len(found)} .dist-info folders instead of one")
    name, _, version = found[0][: -len(".dist-info")].partition("-")
    _agree("the .dist-info folder", Release(name, version), stated)
    return found[0]


def _check_record(archive: zipfile.ZipFile, folder: str) -> None:
    """RECORD lists each file once, with its size and a hash that it has (sha256 or better)."""
    unrecorded = {f"{folder}/{name}" for name in _UNRECORDED}
    files = {member.filename for member in archive.infolist() if not member.is_dir()}
    recorded: dict[str, list[str]] = {}
    with archives.open_member(archive, f"{folder}/RECORD", archives.LARGEST_RECORD) as content:
        for row in csv.reader(_lines(content)):
            if not row:
                continue
            if row[0] in recorded:
                raise InvalidUploadError("RECORD lists a file twice")
            if row[0] not in files and row[0] not in unrecorded:
                raise InvalidUploadError(f"RECORD lists a file that is not there: {shown(row[0])}")
            recorded[row[0]] = row[1:3]
    if unlisted := files - unrecorded - recorded.keys():
        raise InvalidUploadError(f"RECORD does not list {shown(min(unlisted))}")
    for name in sorted(files - unrecorded, key=lambda each: archive.getinfo(each).header_offset):
        _check_recorded(archive, name, recorded[name])


def _lines(content: IO[bytes]) -> Iterator[str]:
    """The lines of RECORD, as many as there may be: there is no file of the others."""
    text = io.TextIOWrapper(content, "utf-8", newline="")
    for _ in range(2 * archives.MOST_MEMBERS):
        line = text.readline(LONGEST_LINE)
        if len(line) == LONGEST_LINE:
            raise InvalidUploadError("RECORD has a line that is too long")
        if not line:
            return
        yield line
    raise InvalidUploadError("RECORD has more lines than a wheel may have members")


def _check_recorded(archive: zipfile.ZipFile, name: str, recorded: list[str]) -> None:
    stated, size = [*recorded, "", ""][:2]
    kind, _, value = stated.partition("=")
    if kind not in {"sha256", "sha384", "sha512"}:
        raise InvalidUploadError(f"RECORD has no sha256 of {shown(name)}")
    hasher = hashlib.new(kind)
    with archive.open(name) as member:
        while chunk := member.read(CHUNK):
            hasher.update(chunk)
    found = base64.urlsafe_b64encode(hasher.digest()).rstrip(b"=").decode()
    if found != value.rstrip("=") or (size and size != str(archive.getinfo(name).file_size)):
        raise InvalidUploadError(f"RECORD has another hash or size of {shown(name)}")
