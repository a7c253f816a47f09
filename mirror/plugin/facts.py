"""What is known about a project, in the form that all parts of the plugin share and store."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mirror.plugin import file_facts
from mirror.plugin.file_facts import FileFacts, Rows

# Our key in devpi's PROJSIMPLELINKS dict. The value is one string: devpi copies and wraps
# every container that it stores, which costs more than parsing JSON.
STORED = "packhorse"
FORMAT = 4


@dataclass(frozen=True, slots=True)
class ProjectFacts:
    """One project as one index knows it, or as several that are merged show it."""

    name: str  # normalised (PEP 503)
    files: Sequence[FileFacts] = ()
    versions: tuple[str, ...] = ()  # all of them, also those without files (PEP 700)
    status: Mapping[str, str] = field(default_factory=dict)  # {"status": …, "reason": …} (PEP 792)


def merged(name: str, projects: Iterable[ProjectFacts]) -> ProjectFacts:
    """What an index shows: the first of `projects` that has a file of some name wins it.

    A status is the upstream's word about the project; the first that has one is shown.
    """
    listed: list[list[str]] = []
    versions: dict[str, None] = {}
    status: Mapping[str, str] = {}
    for project in projects:
        if project.files:
            listed.append(file_facts.rows(project.files))
        versions.update(dict.fromkeys(project.versions))
        status = status or project.status
    return ProjectFacts(name, _first_of_each_name(listed), tuple(versions), status)


def _first_of_each_name(listed: Sequence[list[str]]) -> Rows:
    if len(listed) == 1:  # in which no name is twice
        return Rows(listed[0])
    files: dict[str, str] = {}
    for row in (row for rows in listed for row in rows):
        files.setdefault(file_facts.filename_of(row), row)
    return Rows(files.values())


def with_files(project: ProjectFacts, files: Sequence[FileFacts]) -> ProjectFacts:
    """The same project with other files."""
    return replace(project, files=files)


def stored(project: ProjectFacts, **about: Any) -> dict[str, Any]:
    """What devpi's PROJSIMPLELINKS is to hold of it: one string, a line for each file.

    `about` is what the caller wants to remember besides.
    """
    head = {
        "format": FORMAT,
        "about": about,
        "versions": project.versions,
        "status": project.status,
    }
    lines = [json.dumps(head, separators=(",", ":")), *file_facts.rows(project.files)]
    return {STORED: "\n".join(lines)}


def devpis_lists(project: ProjectFacts) -> dict[str, list[Any]]:
    """The same as devpi itself would store it, for its own views."""
    return {
        "links": [(file.filename, _href(file)) for file in project.files],
        "requires_python": [file.requires_python for file in project.files],
        "yanked": [file.yanked or None for file in project.files],
    }


def is_about(value: Mapping[str, Any], **about: Any) -> bool:
    """Whether `stored` made the value and was told this first (in this order); reads no more of it."""
    begin = json.dumps({"format": FORMAT, "about": about}, separators=(",", ":")).removesuffix("}}")
    return str(value.get(STORED, "")).startswith((f"{begin}}}", f"{begin},"))


def is_whole(value: Mapping[str, Any]) -> bool:
    """Whether `stored` of this format made a PROJSIMPLELINKS value."""
    return str(value.get(STORED, "")).startswith(f'{{"format":{FORMAT},')


def load(name: str, value: Mapping[str, Any]) -> tuple[ProjectFacts, dict[str, Any] | None]:
    """The facts in a PROJSIMPLELINKS value, and what was remembered about them.

    None instead of the latter when devpi without this plugin (or another format of it) stored the
    value: then the facts are what devpi's lists say, and should be made anew.
    """
    if not is_whole(value):
        return ProjectFacts(name, tuple(_of_devpi(value))), None
    head, *rows = value[STORED].split("\n")
    said = json.loads(head)
    return ProjectFacts(name, Rows(rows), tuple(said["versions"]), said["status"]), said["about"]


def _of_devpi(value: Mapping[str, Any]) -> Iterator[FileFacts]:
    """What devpi's lists say."""
    links = list(value.get("links", ()))
    requires_python = [*value.get("requires_python", ()), *[None] * len(links)]
    yanked = [*value.get("yanked", ()), *[None] * len(links)]
    for (filename, href), python, withdrawn in zip(links, requires_python, yanked, strict=False):
        path, _, fragment = href.partition("#")
        algorithm, _, digest = fragment.partition("=")
        hashes = {algorithm: digest} if digest else {}
        yield FileFacts(filename, path, hashes=hashes, requires_python=python, yanked=withdrawn or False)


def _href(file: FileFacts) -> str:
    """As devpi writes it: the path, and the best hash as its fragment."""
    best = file_facts.best_hash(file.hashes)
    return f"{file.path}#{best}" if best else file.path


def with_hash(value: Mapping[str, Any], digits: str) -> Iterator[FileFacts]:
    """The files in a PROJSIMPLELINKS value one of whose hashes begins so; reads no others."""
    text: str = value[STORED] if is_whole(value) else ""
    for found in re.finditer(f'":"{re.escape(digits)}', text):
        begin, end = text.rfind("\n", 0, found.start()), text.find("\n", found.end())
        if begin >= 0:
            yield file_facts.file_of(text[begin + 1 : end if end >= 0 else None])
