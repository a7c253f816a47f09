"""Parse what an upstream answered for a project's page, and refuse what is not the whole page of it."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

from packaging.utils import canonicalize_name

from mirror.plugin.simple import content_types, filenames, html_page, html_rows, json_rows
from mirror.plugin.simple.detail import ProjectDetail
from mirror.plugin.simple.file_rows import ProjectFile, Rows, promised
from mirror.plugin.simple.html_page import HtmlPage, Link

ACCEPT = f"{content_types.JSON}, {content_types.HTML};q=0.2, {content_types.TEXT};q=0.1"
# How indexes, and file servers that are used as one, head a project's page, and the list of all projects.
_HEADING = re.compile(r"(?:links for|index of) (\S+)", re.IGNORECASE)
_VERSION = "repository-version"  # PEP 629
_LIST_HEADING = re.compile(r"simple (?:index|list)|index of", re.IGNORECASE)


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
    and object stores. Without any, the body tells (RFC 9110, 8.3).
    """
    kind = _kind(body)
    return _read_json(project, body) if kind == content_types.JSON else _read_html(project, body, kind)


def lists_no_project(body: RawPage) -> bool:
    """Whether `body` is surely the list of an index (its root page) that has no project."""
    try:
        kind = _kind(body)
        if kind == content_types.JSON:
            page = json.loads(body.content)
            return str(page["meta"]["api-version"]).startswith("1.") and page["projects"] == []
        page = html_page.read(_text(body), body.url)
    except (InvalidPageError, ValueError, KeyError, TypeError):
        return False
    said = kind == content_types.HTML or _VERSION in page.metas or _LIST_HEADING.search(page.heading)
    return bool(said) and not page.links and not page.is_cut_off


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
    except (UnicodeDecodeError, LookupError) as error:
        raise InvalidPageError(str(error)) from error


def _read_json(project: str, body: RawPage) -> ProjectDetail:
    try:
        page = json.loads(body.content)
        version = str(page["meta"].get("api-version", "1.0"))
        if version.partition(".")[0] != "1":
            raise InvalidPageError(f"api-version {version}")
        name = canonicalize_name(page["name"])
        if not isinstance(page["files"], list):
            raise InvalidPageError("a PEP 691 page without a list of files")
        names, files = json_rows.rows(page["files"]) or _listed(page["files"], body.url)
        versions = tuple(map(str, page.get("versions") or filenames.versions_of(names)))
        status = {key: str(value) for key, value in (page.get("project-status") or {}).items() if value}
        tracks = _urls(body.url, page["meta"].get("tracks") or ())
        elsewhere = _urls(body.url, page.get("alternate-locations") or ())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidPageError(f"not a PEP 691 page ({type(error).__name__}: {error})") from error
    if name != project:
        raise InvalidPageError(f"the page of {name}")
    return ProjectDetail(project, files, versions, status, tracks, elsewhere)


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


def _urls(base: str, urls: Sequence[str]) -> tuple[str, ...]:
    """The absolute forms of `urls`, each once (PEP 708). Raises ValueError."""
    found = tuple(dict.fromkeys(_absolute(base, url) for url in urls))
    if isinstance(urls, str) or not all(url.startswith(("http://", "https://")) for url in found):
        raise ValueError(urls)
    return found


def _read_html(project: str, body: RawPage, kind: str) -> ProjectDetail:
    text = _text(body)
    usual = _read_usual(project, text, body.url)
    return usual or _read_any(project, html_page.read(text, body.url), kind)


def _detail(
    project: str, files: Sequence[ProjectFile], names: Iterable[str], page: HtmlPage
) -> ProjectDetail:
    try:
        urls = [_urls(page.base, page.metas.get(key, ())) for key in ("tracks", "alternate-locations")]
    except ValueError as error:
        raise InvalidPageError(f"not a PEP 708 page ({error})") from error
    return ProjectDetail(project, files, filenames.versions_of(names), page.status, *urls)


def _read_usual(project: str, text: str, url: str) -> ProjectDetail | None:
    """What a page says all of whose links are of the usual form; None for another."""
    names, rows, rest = html_rows.split(text) or ((), Rows(""), "")
    if not any(project in filenames.projects_of(name) for name in names):
        return None
    page = html_page.read(rest, url)
    _refuse_part(page)
    others = filenames.others(names, project)
    if others:
        pairs = zip(names, rows.pairs(), strict=True)
        rows = Rows.of(pair for name, pair in pairs if name not in others)
        names = [name for name in names if name not in others]
    return _detail(project, rows, names, page)


def _refuse_part(page: HtmlPage) -> None:
    if page.is_cut_off:
        raise InvalidPageError("HTML that is cut off")


def _read_any(project: str, page: HtmlPage, kind: str) -> ProjectDetail:
    _refuse_part(page)
    linked = [(filenames.of_url(link.href), link) for link in page.links]
    others = filenames.others([name for name, _ in linked], project)
    own = [(name, link) for name, link in linked if name not in others]
    if not any(project in filenames.projects_of(name) for name, _ in own):
        _refuse_other(project, page, kind)
    try:
        files = {name: _linked(name, link) for name, link in own}
    except ValueError as error:
        raise InvalidPageError(f"not a PEP 503 page ({error})") from error
    return _detail(project, tuple(files.values()), files, page)


def _refuse_other(project: str, page: HtmlPage, kind: str) -> None:
    """Without a link to one of its files, a page must say in another way that it is the project's.

    Its heading may name the project. One of an index (it says so, or its content type does) may have no
    links at all: with some, it may as well be the list of all projects.
    """
    if any(filenames.is_archive(filenames.of_url(link.href)) for link in page.links):
        raise InvalidPageError("HTML with the files of another project")
    named = {canonicalize_name(path.strip("/").rpartition("/")[2]) for path in _HEADING.findall(page.heading)}
    of_index = kind == content_types.HTML or _VERSION in page.metas
    if not (project in named or (of_index and not page.links)):
        raise InvalidPageError("HTML that is no page of an index")


def _linked(filename: str, link: Link) -> ProjectFile:
    url, _, fragment = link.href.partition("#")
    python, yanked, size, _, metadata, provenance = link.said
    hashes, time = html_page.hashes(fragment), link.upload_time
    file = ProjectFile(
        filename, "", _absolute(url, url), hashes, python, yanked, size, time, metadata, provenance
    )
    return promised(addressed(file))  # whatever HTML says is text


def _absolute(base: str, url: str) -> str:
    """`url` without fragment and credentials: those are the server's business, facts travel far."""
    if url.startswith(("https://", "http://")) and "@" not in url and "#" not in url:
        return url
    parts = urlsplit(urljoin(base, url))
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))
