"""A project's files, versions and status, in the form that all parts of the plugin share and store."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mirror.plugin.simple import file_rows, filenames
from mirror.plugin.simple.file_rows import ProjectFile, Rows

FORMAT = 9
_READABLE = re.compile(r'{"format":[789],')  # 7 had no PEP 708 fields
_ONE_NAME = 9  # from this format on, rows have a URL that ends with the file's name (parse.py)


@dataclass(frozen=True, slots=True)
class ProjectDetail:
    """One project as one index knows it, or as several that are merged show it."""

    name: str  # normalised (PEP 503)
    files: Sequence[ProjectFile] = ()
    versions: tuple[str, ...] = ()  # all of them, also those without files (PEP 700)
    status: Mapping[str, str] = field(default_factory=dict)  # {"status": …, "reason": …} (PEP 792)
    tracks: tuple[str, ...] = ()  # URLs of the pages that it extends (PEP 708)
    alternate_locations: tuple[str, ...] = ()  # URLs of its pages on other indexes (PEP 708)
    withheld: int = 0  # files that policies of this server, or of its primary, do not show


def merged(name: str, projects: Iterable[ProjectDetail]) -> ProjectDetail:
    """Merge `projects` as an index and its bases have them: the first that has a file of some name wins it.

    A status is the upstream's word about the project; the first that has one is shown. `tracks` and
    `alternate_locations` let installers take files from elsewhere (PEP 708): only the URLs are shown on
    which all projects with files agree. One too few makes an installer ask its user; one too many would
    vouch in the name of an index that never said so, and let the files of a stranger in.
    """
    found = list(projects)
    giving = [project for project in found if project.files] or found
    versions = dict.fromkeys(version for project in found for version in project.versions)
    return ProjectDetail(
        name,
        _first_of_each_name([file_rows.rows(project.files) for project in giving]),
        tuple(versions),
        next((project.status for project in found if project.status), {}),
        _in_all([project.tracks for project in giving]),
        _in_all([project.alternate_locations for project in giving]),
        sum(project.withheld for project in found),
    )


def _in_all(lists: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    first = lists[0] if lists else ()
    return tuple(url for url in first if all(url in others for others in lists))


def _first_of_each_name(listed: Sequence[Rows]) -> Rows:
    if len(listed) == 1:  # in which no name is twice
        return listed[0]
    files: dict[str, tuple[str, str]] = {}
    for row, origin in (pair for rows in listed for pair in rows.pairs()):
        files.setdefault(file_rows.filename_of(row), (row, origin))
    return Rows.of(files.values())


def with_files(project: ProjectDetail, files: Sequence[ProjectFile]) -> ProjectDetail:
    """Copy of a project with other files."""
    return replace(project, files=files)


def as_text(project: ProjectDetail, about: Mapping[str, Any]) -> str:
    """All of it: a line of JSON, the rows, and after another line break their origins, with one at the end.

    `about` is what the caller wants to remember besides.
    """
    rows = file_rows.rows(project.files)
    head = {
        "format": FORMAT,
        "rows": len(rows.text),
        "about": about,
        "versions": project.versions,
        "status": project.status,
        "tracks": project.tracks,
        "alternate_locations": project.alternate_locations,
        **({"withheld": project.withheld} if project.withheld else {}),  # of a primary, to its replica
    }
    return f"{json.dumps(head, separators=(',', ':'))}\n{rows.text}\n{rows.origins}\n"


def from_text(name: str, text: str) -> tuple[ProjectDetail, dict[str, Any]] | None:
    """The facts that `as_text` wrote, since format 7, and what was remembered; None for another text."""
    if not _READABLE.match(text):
        return None
    begin = text.index("\n") + 1
    head = json.loads(text[:begin])
    end = begin + head["rows"]
    rows = Rows(text[begin:end], text[end + 1 : -1])
    if head["format"] < _ONE_NAME:
        rows = _with_one_name(rows)
    urls = tuple(head.get("tracks", ())), tuple(head.get("alternate_locations", ()))
    withheld = head.get("withheld", 0)
    return ProjectDetail(name, rows, tuple(head["versions"]), head["status"], *urls, withheld), head["about"]


def _with_one_name(rows: Rows) -> Rows:
    """Leave out rows whose URL ends with another name than the file: policies read the one, pip the other."""
    pairs = zip(rows.pairs(), rows.objects(), strict=True)
    return Rows.of(pair for pair, file in pairs if filenames.of_url(file.url) == file.filename)


def as_devpi_lists(project: ProjectDetail) -> dict[str, list[Any]]:
    """Lists as devpi itself would store them, for its own views."""
    return {
        "links": [(file.filename, _href(file)) for file in project.files],
        "requires_python": [file.requires_python for file in project.files],
        "yanked": [file.yanked or None for file in project.files],
    }


def from_devpi_lists(name: str, value: Mapping[str, Any]) -> ProjectDetail:
    """Read a PROJSIMPLELINKS value that devpi stored without this plugin."""
    return ProjectDetail(name, tuple(_of_lists(value)))


def _of_lists(value: Mapping[str, Any]) -> Iterator[ProjectFile]:
    links = list(value.get("links", ()))
    requires_python = [*value.get("requires_python", ()), *[None] * len(links)]
    yanked = [*value.get("yanked", ()), *[None] * len(links)]
    for (filename, href), python, withdrawn in zip(links, requires_python, yanked, strict=False):
        path, _, fragment = href.partition("#")
        algorithm, _, digest = fragment.partition("=")
        hashes = {algorithm: digest} if digest else {}
        yield ProjectFile(filename, path, hashes=hashes, requires_python=python, yanked=withdrawn or False)


def _href(file: ProjectFile) -> str:
    """Link like devpi's: the path, and the best hash as its fragment."""
    best = file_rows.best_hash(file.hashes)
    return f"{file.path}#{best}" if best else file.path
