"""What is known about a file and a project, in the form that all parts of the plugin share and store."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from json.encoder import encode_basestring_ascii as quoted
from types import MappingProxyType
from typing import Any, NamedTuple

# Our key in devpi's PROJSIMPLELINKS dict. The value is one string: devpi copies and wraps
# every container that it stores, which costs more than parsing JSON.
STORED = "packhorse"
FORMAT = 4


class FileFacts(NamedTuple):
    """One file of a project, as upstream described it or as we know it from an upload.

    None means that nobody said; pages leave such a key out. A tuple, because there are thousands
    in a page, and each is made and changed several times.
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


@dataclass(frozen=True, slots=True)
class ProjectFacts:
    """One project as one index knows it, or as several that are merged show it."""

    name: str  # normalised (PEP 503)
    files: tuple[FileFacts, ...] = ()
    versions: tuple[str, ...] = ()  # all of them, also those without files (PEP 700)
    status: Mapping[str, str] = field(default_factory=dict)  # {"status": …, "reason": …} (PEP 792)


def merged(name: str, projects: Iterable[ProjectFacts]) -> ProjectFacts:
    """What an index shows: the first of `projects` that has a file of some name wins it.

    A status is the upstream's word about the project; the first that has one is shown.
    """
    files: dict[str, FileFacts] = {}
    versions: dict[str, None] = {}
    status: Mapping[str, str] = {}
    for project in projects:
        for file in project.files:
            files.setdefault(file.filename, file)
        versions.update(dict.fromkeys(project.versions))
        status = status or project.status
    return ProjectFacts(name, tuple(files.values()), tuple(versions), status)


def with_files(project: ProjectFacts, files: Iterable[FileFacts]) -> ProjectFacts:
    """The same project with other files."""
    return replace(project, files=tuple(files))


def stored(project: ProjectFacts, **about: Any) -> dict[str, Any]:
    """What devpi's PROJSIMPLELINKS is to hold of it: one string.

    `about` is what the caller wants to remember besides.
    """
    head = {
        "format": FORMAT,
        "about": about,
        "versions": project.versions,
        "status": project.status,
    }
    begin = json.dumps(head, separators=(",", ":")).removesuffix("}")
    return {STORED: f'{begin},"files":[{",".join(map(_stored, project.files))}]}}'}


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
    said = json.loads(value[STORED])
    files = tuple(map(_loaded, said["files"]))
    return ProjectFacts(name, files, tuple(said["versions"]), said["status"]), said["about"]


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
    best = best_hash(file.hashes)
    return f"{file.path}#{best}" if best else file.path


def best_hash(hashes: Mapping[str, str]) -> str:
    """The text sha256=… when there is one, else the first, "" without any."""
    name = "sha256" if "sha256" in hashes else next(iter(hashes), "")
    return f"{name}={hashes[name]}" if name else ""


def as_json(hashes: Mapping[str, str]) -> str:
    """The JSON of `hashes`."""
    return f"{{{','.join([f'{quoted(name)}:{quoted(value)}' for name, value in hashes.items()])}}}"


def optional(file: FileFacts) -> str:
    """The members of a file's JSON that hardly any has all of, as PEP 691 names them; each after a comma.

    Written by hand, as there are ten thousands of files: json.dumps takes several times as long.
    """
    _, _, _, _, python, yanked, size, time, metadata, provenance = file
    return (
        (f',"requires-python":{quoted(python)}' if python is not None else "")
        + (f',"size":{size}' if size is not None else "")
        + (f',"upload-time":{quoted(time)}' if time is not None else "")
        + (f',"yanked":{"true" if yanked is True else quoted(yanked)}' if yanked is not False else "")
        # Under its name of PEP 714 only: some versions of pip stumble over the first name in JSON.
        + (
            f',"core-metadata":{as_json(metadata) if isinstance(metadata, Mapping) else "true"}'
            if metadata
            else ""
        )
        + (f',"provenance":{quoted(provenance)}' if provenance is not None else "")
    )


def _stored(file: FileFacts) -> str:
    """`with_hash` relies on the URL to come first."""
    return (
        f'{{"url":{quoted(file.url)},"hashes":{as_json(file.hashes)},"filename":{quoted(file.filename)}'
        f',"path":{quoted(file.path)}{optional(file)}}}'
    )


def _loaded(said: Mapping[str, Any]) -> FileFacts:
    """What `_stored` wrote."""
    return FileFacts(
        said["filename"],
        said["path"],
        said["url"],
        said["hashes"],
        said.get("requires-python"),
        said.get("yanked", False),
        said.get("size"),
        said.get("upload-time"),
        said.get("core-metadata", False),
        said.get("provenance"),
    )


def with_hash(value: Mapping[str, Any], digits: str) -> Iterator[FileFacts]:
    """The mirrored files in a PROJSIMPLELINKS value whose hash begins so.

    Reads no more of it than that: it may describe ten thousand files.
    """
    text: str = value[STORED] if is_whole(value) else ""
    for found in re.finditer(f'":"{re.escape(digits)}', text):
        begin = text.rfind('{"url":"', 0, found.start())
        if begin >= 0:
            yield _loaded(json.JSONDecoder().raw_decode(text, begin)[0])
