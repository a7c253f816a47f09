"""An upstream's answer in, all that it said about a project out; what is no whole page is refused."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from devpi_common.metadata import is_archive_of_project, splitbasename
from devpi_common.validation import normalize_name
from packaging.utils import (
    InvalidSdistFilename,
    parse_sdist_filename,
)

from mirror.plugin.simple import html_page, html_rows, json_rows, negotiate
from mirror.plugin.simple.detail import ProjectDetail
from mirror.plugin.simple.file_rows import ProjectFile, Rows, promised
from mirror.plugin.simple.html_page import HtmlPage, Link

ACCEPT = f"{negotiate.JSON}, {negotiate.HTML};q=0.2, {negotiate.TEXT};q=0.1"
# Versions that need not be normalised, which takes its time.
_USUAL_SDIST = re.compile(r"[^-].*-((?:0|[1-9][0-9]*+)(?:\.(?:0|[1-9][0-9]*+))*+)\.tar\.gz")
_USUAL_KINDS = (".whl", ".tar.gz")
ARCHIVES = (".whl", ".tar.gz", ".zip", ".tar.bz2", ".tgz", ".egg", ".tar.xz")


class InvalidPageError(Exception):
    """A body that is not, or not all of, the page of the project that was asked for."""


@dataclass(frozen=True)
class RawPage:
    """What came with status 200."""

    content_type: str  # the header's value
    url: str  # after redirects
    content: bytes


def parse_page(project: str, body: RawPage) -> ProjectDetail:
    """Parse the page of `project` (normalised); file_paths.placed adds paths. Raises InvalidPageError.

    The content types are those that PEP 691 names and pip takes; others come from captive portals
    and object stores.
    """
    kind, _, parameters = (part.strip() for part in body.content_type.lower().partition(";"))
    if kind == negotiate.JSON:
        return _read_json(project, body)
    if kind in {negotiate.HTML, negotiate.TEXT}:
        charset = re.search(r'charset="?([\w-]+)', parameters)
        return _read_html(project, body, charset[1] if charset else "utf-8")
    raise InvalidPageError(f"content type {body.content_type or 'missing'!r}")


def _read_json(project: str, body: RawPage) -> ProjectDetail:
    try:
        page = json.loads(body.content)
        version = str(page["meta"].get("api-version", "1.0"))
        if version.partition(".")[0] != "1":
            raise InvalidPageError(f"api-version {version}")
        name = normalize_name(page["name"])
        if not isinstance(page["files"], list):
            raise InvalidPageError("a PEP 691 page without a list of files")
        names, files = json_rows.rows(page["files"]) or _listed(page["files"], body.url)
        versions = tuple(map(str, page.get("versions") or versions_of(names)))
        status = {key: str(value) for key, value in (page.get("project-status") or {}).items() if value}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidPageError(f"not a PEP 691 page ({type(error).__name__}: {error})") from error
    if name != project:
        raise InvalidPageError(f"the page of {name}")
    return ProjectDetail(project, files, versions, status)


def _listed(entries: Iterable[Mapping[str, Any]], base: str) -> tuple[list[str], Sequence[ProjectFile]]:
    files = {file.filename: file for file in (_file(entry, base) for entry in entries)}
    return list(files), tuple(files.values())


def _file(entry: Mapping[str, Any], base: str) -> ProjectFile:
    """One object of `files`; keys that are null are as good as missing."""
    said = next((entry[key] for key in ("core-metadata", "dist-info-metadata") if entry.get(key)), False)
    file = ProjectFile(
        filename=entry["filename"],
        path="",
        url=_absolute(base, entry["url"]),
        hashes={kind: value.lower() for kind, value in entry["hashes"].items()},
        requires_python=entry.get("requires-python"),
        yanked=True if entry.get("yanked") == "" else entry.get("yanked") or False,
        size=entry.get("size"),
        upload_time=entry.get("upload-time"),
        core_metadata=dict(said) if isinstance(said, Mapping) else bool(said),
        provenance=entry.get("provenance"),
    )
    return promised(checked(file))


def checked(file: ProjectFile) -> ProjectFile:
    """`file`, if every value is of its kind. Raises TypeError or ValueError."""
    optional = (file.requires_python, file.upload_time, file.provenance)
    texts: tuple[object, ...] = (file.filename, file.url, *file.hashes.values())
    if not all(isinstance(text, str) for text in texts):
        raise TypeError(file.filename)
    if not all(value.isalnum() for value in file.hashes.values()):  # they become parts of a path
        raise ValueError(file.filename)
    if any(type(text) not in {str, type(None)} for text in optional):
        raise TypeError(file.filename)
    if type(file.yanked) not in {bool, str} or type(file.size) not in {int, type(None)}:
        raise TypeError(file.filename)
    return addressed(file)


def addressed(file: ProjectFile) -> ProjectFile:
    """`file`, if its name and its URL are some. Raises ValueError."""
    if not file.filename or "/" in file.filename or not file.url.startswith(("http://", "https://")):
        raise ValueError(file.filename)
    return file


def _read_html(project: str, body: RawPage, charset: str) -> ProjectDetail:
    try:
        text = body.content.decode(charset)
    except (UnicodeDecodeError, LookupError) as error:
        raise InvalidPageError(str(error)) from error
    usual = _read_usual(project, text, body.url)
    return usual or _read_any(project, html_page.read(text, body.url))


def _read_usual(project: str, text: str, url: str) -> ProjectDetail | None:
    """What a page says all of whose links are of the usual form; None for another."""
    names, rows, rest = html_rows.split(text) or ((), Rows(""), "")
    if not any(_surely_of(name, project) for name in names):
        return None
    page = html_page.read(rest, url)
    _refuse_part(page)
    others = _others(names, project)
    if others:
        pairs = zip(names, rows.pairs(), strict=True)
        rows = Rows.of(pair for name, pair in pairs if name not in others)
        names = [name for name in names if name not in others]
    return ProjectDetail(project, rows, versions_of(names), page.status)


def _others(names: Iterable[str], project: str) -> set[str]:
    """The names that are none of `project`; of thousands, hardly any needs a look of its own."""
    length = len(project) + 1
    usual = {begin for begin in {name[:length] for name in names} if begins_with(begin, project)}
    looked_at = [name for name in names if name[:length] not in usual or not name.endswith(_USUAL_KINDS)]
    return {name for name in looked_at if not is_archive_of_project(name, project)}


def _refuse_part(page: HtmlPage) -> None:
    if page.is_cut_off:
        raise InvalidPageError("HTML that is cut off")


def _read_any(project: str, page: HtmlPage) -> ProjectDetail:
    _refuse_part(page)
    linked = [(basename(link.href), link) for link in page.links]
    others = _others([name for name, _ in linked], project)
    own = [(name, link) for name, link in linked if name not in others]
    if not any(_surely_of(name, project) for name, _ in own):
        _refuse_other(project, page)
    try:
        files = {name: _linked(name, link) for name, link in own}
    except ValueError as error:
        raise InvalidPageError(f"not a PEP 503 page ({error})") from error
    return ProjectDetail(project, tuple(files.values()), versions_of(files), page.status)


def _refuse_other(project: str, page: HtmlPage) -> None:
    """Without a link to one of its files, a page must say in another way that it is the project's."""
    if any(basename(link.href).endswith(ARCHIVES) for link in page.links):
        raise InvalidPageError("HTML with the files of another project")
    named = project in {normalize_name(word.strip("\"'.,:;")) for word in page.heading.split()}
    if not (page.has_version or named):
        raise InvalidPageError("HTML that is no page of an index")


def begins_with(filename: str, project: str) -> bool:
    """Whether `filename` is that of a project whose name begins with the words of `project`."""
    return bool(_normal(filename[: len(project) + 1]) == f"{project}-")


_normal = lru_cache(maxsize=1000)(normalize_name)


def _surely_of(filename: str, project: str) -> bool:
    """Stricter than devpi, which takes everything that begins with the name (flask-login for flask)."""
    if filename.endswith(".whl"):
        return bool(normalize_name(filename.partition("-")[0]) == project)
    rest = normalize_name(filename)[len(project) :]
    return re.match(r"-v?\d", rest) is not None


def _linked(filename: str, link: Link) -> ProjectFile:
    url, _, fragment = link.href.partition("#")
    python, yanked, size, _, metadata, provenance = link.said
    hashes, time = html_page.hashes(fragment), link.upload_time
    file = ProjectFile(
        filename, "", _absolute(url, url), hashes, python, yanked, size, time, metadata, provenance
    )
    return promised(addressed(file))  # whatever HTML says is text


def versions_of(filenames: Iterable[str]) -> tuple[str, ...]:
    """The versions that file names tell."""
    versions = dict.fromkeys([version_of(name) for name in filenames])
    return tuple(version for version in versions if version)


def version_of(filename: str) -> str | None:
    """The version of a wheel, an sdist or an older kind of archive, None when its name has none."""
    if filename[-4:] == ".whl":
        parts = filename.split("-")
        return parts[1] if 5 <= len(parts) <= 6 else None
    if usual := _USUAL_SDIST.fullmatch(filename):
        return usual[1]
    try:
        return str(parse_sdist_filename(filename)[1])
    except InvalidSdistFilename:
        return str(splitbasename(filename, checkarch=False)[1]) or None


def basename(url: str) -> str:
    """The name of the file at `url`, as devpi understands it."""
    name = url.partition("#")[0].partition("?")[0]
    return (unquote(name) if "%" in name else name).rpartition("/")[2]


def _absolute(base: str, url: str) -> str:
    """`url` without fragment and credentials: those are the server's business, facts travel far."""
    if url.startswith(("https://", "http://")) and "@" not in url and "#" not in url:
        return url
    parts = urlsplit(urljoin(base, url))
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))
