"""Parse what an upstream answered for a project's page, and refuse what is not the whole page of it."""

import re
import string
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urljoin, urlsplit, urlunsplit

import msgspec
from packaging.utils import canonicalize_name

from mirror.plugin.simple import content_types, file_rows, filenames, html_page
from mirror.plugin.simple.detail import ProjectDetail
from mirror.plugin.simple.file_rows import FileObject, Rows
from mirror.plugin.simple.html_page import HtmlPage

ACCEPT = f"{content_types.JSON}, {content_types.HTML};q=0.2, {content_types.TEXT};q=0.1"
LARGEST = 64_000_000  # bytes of a page; packed, a few kB may mean gigabytes
MOST_FILES = 100_000  # of a page; the largest of the public index have some ten thousand
_SCHEMES = ("https://", "http://")
# How indexes, and file servers that are used as one, head a project's page, and the list of all projects.
_HEADING = re.compile(r"(?:links for|index of) (\S+)", re.IGNORECASE)
_NAME_BEGINS = f"{string.ascii_letters}{string.digits}_".encode()
_NAME_HAS = _NAME_BEGINS + b".+!~-"
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f/\\%\ud800-\udfff]")  # pip takes a name out of %-quoting twice
_HEX = b"0123456789abcdef"
_DIGEST = re.compile(r"[0-9a-z]{4,128}")  # three of it are the name of a folder, the next ones of another
_MOST_BYTES = 2**50  # of a file: more is a mistake, and no client could count it
_VERSION = "repository-version"  # PEP 629
_LIST_HEADING = re.compile(r"simple (?:index|list)|index of", re.IGNORECASE)


PathsOf = Callable[[Sequence[FileObject]], Sequence[str]]  # quoted, without a slash at the beginning


class InvalidPageError(Exception):
    """A body that is not, or not all of, the page of the project that was asked for."""


class PageTooLargeError(InvalidPageError):
    """A page of more bytes than allowed."""


@dataclass(frozen=True)
class RawPage:
    """The body of an answer with status 200."""

    content_type: str  # the header's value
    url: str  # after redirects
    content: bytes  # as sent
    encoding: str = ""  # the header's value


class _Meta(msgspec.Struct, rename="kebab"):
    api_version: str = "1.0"
    tracks: list[str] | None = None
    withheld: object = msgspec.field(default=0, name="_withheld")  # what render.py writes


class _JsonPage(msgspec.Struct, rename="kebab"):
    """A project's page (PEP 691, 700, 708, 792); keys that are null are as good as missing."""

    meta: _Meta
    name: str
    files: list[FileObject]
    versions: list[str] | None = None
    project_status: dict[str, str | None] | None = None
    alternate_locations: list[str] | None = None


class _JsonList(msgspec.Struct):
    """The list of an index's projects (PEP 691)."""

    meta: _Meta
    projects: list[dict[str, object]]


_decode = msgspec.json.Decoder(_JsonPage).decode


def parse_page(project: str, body: RawPage, paths_of: PathsOf) -> ProjectDetail:
    """Parse the page of `project` (normalised). Raises InvalidPageError.

    `paths_of` says where devpi keeps its files.

    The content types are those that PEP 691 names and pip takes; others come from captive portals
    and object stores. Without any, the body tells (RFC 9110, 8.3).
    """
    try:
        body = unpacked(body)
        kind = _kind(body)
        if kind == content_types.JSON:
            return _read_json(project, body, paths_of)
        return _read_html(project, html_page.read(_text(body), body.url), kind, paths_of)
    except (ValueError, RecursionError) as error:
        raise InvalidPageError(f"no page of an index ({type(error).__name__}: {error})") from error


def lists_no_project(body: RawPage) -> bool:
    """Whether `body` is surely the list of an index (its root page) that has no project."""
    try:
        body = unpacked(body)
        kind = _kind(body)
        if kind == content_types.JSON:
            return not msgspec.json.decode(body.content, type=_JsonList).projects
        page = html_page.read(_text(body), body.url)
    except (InvalidPageError, ValueError, RecursionError):
        return False
    of_index = kind == content_types.HTML or _VERSION in page.metas or _LIST_HEADING.search(page.heading)
    return bool(of_index) and not page.links and not page.is_cut_off


def unpacked(body: RawPage, most: int = LARGEST) -> RawPage:
    """`body` without its encoding. Raises InvalidPageError, PageTooLargeError for more than `most` bytes."""
    encoding, content = body.encoding.strip().lower(), body.content
    if encoding in {"gzip", "x-gzip"}:
        unpacker = zlib.decompressobj(wbits=31)
        try:
            content = unpacker.decompress(content, most + 1)
        except zlib.error as error:
            raise InvalidPageError(f"no gzip ({error})") from error
        if not unpacker.eof and len(content) <= most:
            raise InvalidPageError("gzip that is cut off")
    elif encoding not in {"", "identity"}:  # nothing else was asked for
        raise InvalidPageError(f"content encoding {body.encoding!r}")
    if len(content) > most:
        raise PageTooLargeError(f"one of more than {most} bytes")
    return replace(body, content=content, encoding="")


def _kind(body: RawPage) -> str:
    """The content type, one that we know. Raises InvalidPageError."""
    kind = body.content_type.lower().partition(";")[0].strip()
    if not kind:
        return content_types.JSON if body.content.lstrip().startswith(b"{") else content_types.TEXT
    if kind not in {content_types.JSON, content_types.HTML, content_types.TEXT}:
        raise InvalidPageError(f"content type {body.content_type!r}")
    return kind


def _text(body: RawPage) -> str:
    charset = re.search(r'charset="?([\w-]+)', body.content_type.lower())
    try:
        return body.content.decode(charset[1] if charset else "utf-8")
    except LookupError as error:
        raise InvalidPageError(str(error)) from error


def _read_json(project: str, body: RawPage, paths_of: PathsOf) -> ProjectDetail:
    page = _decode(body.content)
    if page.meta.api_version.partition(".")[0] != "1":
        raise InvalidPageError(f"one with api-version {page.meta.api_version}")
    if canonicalize_name(page.name) != project:
        raise InvalidPageError(f"the page of {page.name}")
    return ProjectDetail(
        project,
        _rows(page.files, body.url, paths_of),
        tuple(page.versions or filenames.versions_of([file.filename for file in page.files])),
        {key: value for key, value in (page.project_status or {}).items() if value},
        _urls(body.url, page.meta.tracks or ()),
        _urls(body.url, page.alternate_locations or ()),
        page.meta.withheld if isinstance(page.meta.withheld, int) else 0,
    )


def _read_html(project: str, page: HtmlPage, kind: str, paths_of: PathsOf) -> ProjectDetail:
    if page.is_cut_off:
        raise InvalidPageError("HTML that is cut off")
    others = filenames.others([link.filename for link in page.links], project)
    files = [link for link in page.links if link.filename not in others] if others else page.links
    if not any(project in filenames.projects_of(file.filename) for file in files):
        _refuse_other(project, page, kind)
    return ProjectDetail(
        project,
        _rows(files, page.base, paths_of),
        filenames.versions_of([file.filename for file in files]),
        page.status,
        _urls(page.base, page.metas.get("tracks", ())),
        _urls(page.base, page.metas.get("alternate-locations", ())),
    )


def _refuse_other(project: str, page: HtmlPage, kind: str) -> None:
    """Without a link to one of its files, a page must say in another way that it is the project's.

    Its heading may name the project. One of an index (it says so, or its content type does) may have no
    links at all: with some, it may as well be the list of all projects.
    """
    if any(filenames.is_archive(link.filename) for link in page.links):
        raise InvalidPageError("HTML with the files of another project")
    named = {canonicalize_name(path.strip("/").rpartition("/")[2]) for path in _HEADING.findall(page.heading)}
    of_index = kind == content_types.HTML or _VERSION in page.metas
    if not (project in named or (of_index and not page.links)):
        raise InvalidPageError("HTML that is no page of an index")


def _rows(files: Iterable[FileObject], base: str, paths_of: PathsOf) -> Rows:
    """Make rows of what a page at `base` says; its objects are changed into those of rows. Raises ValueError.

    Of two files of one name, the last one counts. A file that nobody could ask for is left out.
    """
    unique = list({file.filename: file for file in files}.values())
    if len(unique) > MOST_FILES:
        raise ValueError(f"more than {MOST_FILES} files")
    are_usual = _are_usual(unique)
    if not are_usual:
        unique = [file for file in unique if _is_usable(file)]
    _check(unique, base)
    origins = []
    for file, path in zip(unique, paths_of(unique), strict=True):
        offered = file.core_metadata or file.dist_info_metadata or None
        origins.append(file_rows.origin(file.url, offered=offered is not None))
        file.url = file_rows.ROOT + path
        file.yanked = file.yanked or file.yanked == ""  # an empty reason is one (PEP 592)
        is_wheel = file.filename.endswith(".whl")
        promised = is_wheel if are_usual else file_rows.promise(file.filename, file.hashes)
        file.core_metadata = offered or promised or None
        file.dist_info_metadata = None
    return Rows.of_objects(unique, origins)


def _check(files: Sequence[FileObject], base: str) -> None:
    """Make URLs absolute. Raises ValueError for one that cannot be.

    Of thousands of files hardly any is unusual: they are looked at together.
    """
    text = "".join([file.url for file in files])
    if "@" in text or "#" in text or not all(file.url.startswith(_SCHEMES) for file in files):
        for file in files:
            file.url = _absolute(base, file.url)
            if not file.url.startswith(_SCHEMES):
                raise ValueError(file.url)


def _are_usual(files: Sequence[FileObject]) -> bool:
    """Whether no file needs a closer look, as on nearly all pages. One by one takes three times as long."""
    names = [file.filename for file in files]
    digests = [file.hashes.get("sha256", "") for file in files if len(file.hashes) == 1]
    ends = [file.url.rpartition("/")[2] for file in files]
    urls = "".join([file.url for file in files])
    return (
        len(digests) == len(files)
        and {64}.issuperset(map(len, digests))
        and _has_only(_HEX, "".join(digests))
        and all(names)
        and _has_only(_NAME_BEGINS, "".join([name[0] for name in names]))
        and _has_only(_NAME_HAS, "".join(names))
        and max(map(len, names), default=0) <= filenames.LONGEST
        and ends == names  # and so not quoted: no plain name has "%"
        and "#" not in urls
        and "?" not in urls
        and all(file.size is None or 0 <= file.size < _MOST_BYTES for file in files)
    )


def _has_only(characters: bytes, text: str) -> bool:
    return not text.encode("ascii", "replace").translate(None, characters)


def _is_usable(file: FileObject) -> bool:
    """Whether a file can be shown and asked for; takes away what is said of it and cannot be.

    Its name becomes one of a file, its hash part of a path: one that is none is as good as missing, and the
    file is hashed when it arrives. Policies go by the name, pip by the end of the URL: both must be the same.
    """
    name = file.filename
    if file.size is not None and not 0 <= file.size < _MOST_BYTES:
        file.size = None
    lower = {kind: value.lower() for kind, value in file.hashes.items() if kind in html_page.HASH_KINDS}
    file.hashes = {kind: value for kind, value in lower.items() if _DIGEST.fullmatch(value)}
    is_name = name not in {"", ".", ".."} and not _FORBIDDEN.search(name)
    return is_name and len(name.encode()) <= filenames.LONGEST and filenames.of_url(file.url) == name


def _urls(base: str, urls: Iterable[str]) -> tuple[str, ...]:
    """The absolute forms of `urls`, each once (PEP 708). Raises ValueError."""
    found = tuple(dict.fromkeys(_absolute(base, url) for url in urls))
    if not all(url.startswith(_SCHEMES) for url in found):
        raise ValueError(found)
    return found


def _absolute(base: str, url: str) -> str:
    """`url` without fragment and credentials: those are the server's business, facts travel far."""
    parts = urlsplit(urljoin(base, url))
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))
