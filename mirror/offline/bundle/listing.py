"""The text files of a bundle: pages of an index (PEP 503, PEP 691), checksums, bundle.json; made and read.

    bundle.json                       format, 1 without provenance; which files are the company's own
    SHA256SUMS                        of all other files, for `sha256sum --check`
    files/NAME                        wheels and sdists; NAME.metadata of a wheel (PEP 658)
    provenance/SHA256.provenance      what pages lead to (PEP 740), by its own sha256
    simple/index.html, .v1_json       the list of projects
    simple/PROJECT/index.html, .v1_json

They say nothing that is not in `File`, so that a bundle can be compared with what ours would be.
"""

import hashlib
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal
from urllib.parse import quote

import pydantic
from packaging.utils import canonicalize_name
from packaging.version import Version

from packhorse import filenames

FORMAT = 2  # of each byte below: who changes one of them raises it
READABLE = (1, 2)
ABOUT, SUMS, FILES, SIMPLE, PROVENANCE = "bundle.json", "SHA256SUMS", "files", "simple", "provenance"
PAGE = "index.v1_json"  # as bandersnatch names it: a web server goes by the suffix
METADATA = ".metadata"
_PROVENANCE_URL = rf"^\.\./\.\./{PROVENANCE}/[0-9a-f]{{64}}\.provenance$"
_FILENAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+!~-]*")
_TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z$"  # PEP 700
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LONGEST = 10_000  # characters of a reason


def _is_plain(text: str) -> str:
    if len(text) > _LONGEST or _CONTROL.search(text):
        raise ValueError("should be one line of text")
    return text


_Time = Annotated[str, pydantic.StringConstraints(pattern=_TIME)]
_Text = Annotated[str, pydantic.AfterValidator(_is_plain)]


class WrongListingError(Exception):
    """A text file of a bundle that says what it may not; the message says which and why."""


class NewerFormatError(Exception):
    """A bundle of a later version; the message is its format."""


@dataclass(frozen=True)
class File:
    """A wheel or an sdist of a bundle."""

    project: str  # normalised
    filename: str
    size: int  # bytes
    sha256: str
    metadata: str | None = None  # sha256 of the metadata file
    requires_python: str | None = None
    upload_time: str | None = None
    yanked: bool | str = False  # True or the reason (PEP 592)
    own: bool = False  # uploaded to an index of ours, not cached from an upstream
    provenance: str | None = None  # sha256 of the provenance object

    @property
    def version(self) -> Version:
        return release(self.filename)[1]

    @property
    def paths(self) -> Mapping[str, str]:
        """Its files, relative to the bundle -> their sha256."""
        found = {f"{FILES}/{self.filename}": self.sha256}
        if self.metadata:
            found[f"{FILES}/{self.filename}{METADATA}"] = self.metadata
        if self.provenance:
            found[provenance_path(self.provenance)] = self.provenance
        return found


@dataclass(frozen=True)
class Listing:
    """All that a bundle lists."""

    files: tuple[File, ...] = ()
    statuses: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # by project (PEP 792)
    format: int = FORMAT

    @property
    def projects(self) -> Mapping[str, list[File]]:
        """The files of each project, in order."""
        found: dict[str, list[File]] = {}
        for file in sorted(self.files, key=lambda each: (each.project, each.version, each.filename)):
            found.setdefault(file.project, []).append(file)
        return found

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


class _Meta(pydantic.BaseModel, extra="forbid", strict=True):
    api_version: Literal["1.4"] = pydantic.Field(alias="api-version")


class _Hashes(pydantic.BaseModel, extra="forbid", strict=True):
    sha256: Annotated[str, pydantic.StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _File(pydantic.BaseModel, extra="forbid", strict=True):
    filename: str
    url: str
    hashes: _Hashes
    size: Annotated[int, pydantic.Field(ge=0, lt=2**50)]
    core_metadata: _Hashes | None = pydantic.Field(None, alias="core-metadata")
    requires_python: _Text | None = pydantic.Field(None, alias="requires-python")
    upload_time: _Time | None = pydantic.Field(None, alias="upload-time")
    yanked: bool | _Text = False
    provenance: Annotated[str, pydantic.StringConstraints(pattern=_PROVENANCE_URL)] | None = None


class _Page(pydantic.BaseModel, extra="forbid", strict=True):
    meta: _Meta
    name: str
    versions: list[str]
    files: list[_File]
    project_status: dict[Literal["status", "reason"], _Text] | None = pydantic.Field(
        None, alias="project-status"
    )


class _Versioned(pydantic.BaseModel, strict=True):
    format: int


class _About(_Versioned, extra="forbid"):
    own: list[str]


def release(filename: str) -> tuple[str, Version]:
    """The project and the version of a wheel or sdist. Raises WrongListingError for any other name."""
    if not _FILENAME.fullmatch(filename) or len(filename) > 255 - len(METADATA):
        raise WrongListingError(f"{filename!r} is no name of a file of a bundle")
    if (found := filenames.parse(filename)) is None:
        raise WrongListingError(f"{filename} is neither a wheel nor an sdist")
    return found.project, found.version


def said(listed: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `File` from a row of a mirror's page, besides the hash; in it, upstreams say anything."""
    python, moment, yanked = (listed.get(key) for key in ("requires-python", "upload-time", "yanked"))
    return {
        "requires_python": _plain(python) if isinstance(python, str) else None,
        "upload_time": moment if isinstance(moment, str) and re.fullmatch(_TIME, moment) else None,
        "yanked": (_plain(yanked) or True) if isinstance(yanked, str) else bool(yanked),
    }


def said_status(page: Mapping[str, Any]) -> dict[str, str]:
    """The project's status on a page of a mirror (PEP 792)."""
    stated = page.get("project-status") or {}
    return {key: _plain(stated[key]) for key in ("status", "reason") if isinstance(stated.get(key), str)}


def _plain(text: str) -> str:
    return _CONTROL.sub(" ", text)[:_LONGEST]


def texts(listing: Listing) -> dict[str, bytes]:
    """The text files of the bundle, by their paths: the same listing gives the same bytes."""
    projects = listing.projects
    made = {f"{SIMPLE}/index.html": _root_html(projects), f"{SIMPLE}/{PAGE}": _root_json(projects)}
    for name, files in projects.items():
        status = listing.statuses.get(name, {})
        made[f"{SIMPLE}/{name}/index.html"] = _html(name, files, status)
        made[f"{SIMPLE}/{name}/{PAGE}"] = _dump(page(name, files, status))
    made[ABOUT] = _dump(
        {"format": listing.format, "own": sorted(file.filename for file in listing.files if file.own)}
    )
    sums = {path: hashlib.sha256(content).hexdigest() for path, content in made.items()}
    for file in listing.files:
        sums.update(file.paths)
    made[SUMS] = "".join(f"{sums[path]}  {path}\n" for path in sorted(sums)).encode()
    return made


def page(name: str, files: Iterable[File], status: Mapping[str, str]) -> dict[str, Any]:
    """The PEP 691 page of a project."""
    listed = list(files)
    made = {
        "meta": {"api-version": "1.4"},
        "name": name,
        "versions": list(dict.fromkeys(str(file.version) for file in listed)),
        "files": [_members(file) for file in listed],
    }
    return {**made, "project-status": dict(status)} if status else made


def read(about: bytes, pages: Mapping[str, bytes]) -> Listing:
    """The listing that bundle.json and the JSON pages of projects make.

    Raises WrongListingError, NewerFormatError.
    Nothing is believed because of where it stands: names, URLs and types are those that ours have.
    """
    number = _parsed(_Versioned, about, ABOUT, {}).format
    if number > FORMAT:
        raise NewerFormatError(number)
    own = frozenset(_parsed(_About, about, ABOUT, {}).own)
    files: list[File] = []
    statuses = {}
    for project, content in sorted(pages.items()):
        where = f"{SIMPLE}/{project}/{PAGE}"
        found = _parsed(_Page, content, where, {"name": project})
        files += (_file(project, each, own, where) for each in found.files)
        if found.project_status:
            statuses[project] = found.project_status
    names = [file.filename for file in files]
    if len(set(names)) < len(names) or own - set(names):
        raise WrongListingError(f"{ABOUT} and the pages do not list the same files, each once")
    if number not in READABLE or (number == 1 and any(file.provenance for file in files)):
        raise WrongListingError(f"{ABOUT}: format is {number}, which no such bundle has")
    return Listing(tuple(files), statuses, number)


def _parsed(kind: Any, content: bytes, where: str, expected: Mapping[str, object]) -> Any:  # noqa: ANN401
    try:
        found = kind.model_validate_json(content)
    except (pydantic.ValidationError, RecursionError) as error:
        first = error.errors()[0] if isinstance(error, pydantic.ValidationError) else {"loc": (), "msg": ""}
        path = ".".join(map(str, first["loc"]))
        raise WrongListingError(f"{where}: {path}: {first['msg']}") from error
    for key, value in expected.items():
        if getattr(found, key) != value:
            raise WrongListingError(f"{where}: {key} is {getattr(found, key)!r} instead of {value!r}")
    return found


def _file(project: str, found: _File, own: frozenset[str], where: str) -> File:
    if release(found.filename)[0] != project or canonicalize_name(project) != project:
        raise WrongListingError(f"{where}: {found.filename} is no file of {project}")
    if found.url != _url(found.filename):
        raise WrongListingError(f"{where}: {found.filename} has a link to {found.url!r}")
    return File(
        project,
        found.filename,
        found.size,
        found.hashes.sha256,
        found.core_metadata.sha256 if found.core_metadata else None,
        found.requires_python,
        found.upload_time,
        found.yanked,
        found.filename in own,
        PurePosixPath(found.provenance).stem if found.provenance else None,
    )


def _members(file: File) -> dict[str, object]:
    optional = {
        "core-metadata": {"sha256": file.metadata} if file.metadata else None,
        "requires-python": file.requires_python,
        "upload-time": file.upload_time,
        "yanked": file.yanked or None,
        "provenance": f"../../{provenance_path(file.provenance)}" if file.provenance else None,
    }
    return {
        "filename": file.filename,
        "url": _url(file.filename),
        "hashes": {"sha256": file.sha256},
        "size": file.size,
        **{key: value for key, value in optional.items() if value is not None},
    }


def provenance_path(sha256: str) -> str:
    """Path in a bundle of the provenance object with this hash."""
    return f"{PROVENANCE}/{sha256}.provenance"


def _url(filename: str) -> str:
    return f"../../{FILES}/{quote(filename)}"


def _html(name: str, files: Iterable[File], status: Mapping[str, str]) -> bytes:
    keys = {"status": "project-status", "reason": "project-status-reason"}
    metas = {"repository-version": "1.4", **{keys[key]: value for key, value in status.items()}}
    return _document(f"Links for {name}", metas, (_anchor(file) for file in files))


def _anchor(file: File) -> str:
    attributes = {"href": f"{_url(file.filename)}#sha256={file.sha256}"}
    if file.requires_python is not None:
        attributes["data-requires-python"] = file.requires_python
    if file.yanked is not False:
        attributes["data-yanked"] = "" if file.yanked is True else file.yanked
    if file.metadata:  # PEP 714: both names
        stated = f"sha256={file.metadata}"
        attributes |= {"data-core-metadata": stated, "data-dist-info-metadata": stated}
    if file.provenance:
        attributes["data-provenance"] = f"../../{provenance_path(file.provenance)}"
    written = " ".join(f'{key}="{html.escape(value)}"' for key, value in attributes.items())
    return f"<a {written}>{html.escape(file.filename)}</a><br>"


def _root_html(projects: Iterable[str]) -> bytes:
    links = (f'<a href="{name}/">{name}</a><br>' for name in projects)
    return _document("Simple index", {"repository-version": "1.4"}, links)


def _root_json(projects: Iterable[str]) -> bytes:
    return _dump({"meta": {"api-version": "1.4"}, "projects": [{"name": name} for name in projects]})


def _document(title: str, metas: Mapping[str, str], lines: Iterable[str]) -> bytes:
    def written() -> Iterator[str]:
        yield '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        for key, value in metas.items():
            yield f'<meta name="pypi:{key}" content="{html.escape(value)}">'
        yield f"<title>{title}</title></head><body><h1>{title}</h1>"
        yield from lines
        yield "</body></html>\n"

    return "\n".join(written()).encode()


def _dump(value: object) -> bytes:
    return json.dumps(value, indent=1).encode() + b"\n"
