"""Add files that an administrator brings (a bundle) to what is known of a project; refuse changed ones."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from mirror.plugin.simple import file_rows
from mirror.plugin.simple.detail import ProjectDetail
from mirror.plugin.simple.file_rows import ProjectFile, Rows

_ACCEPT = "; if that is right, load it again with --accept-changed and the file's name"


@dataclass(frozen=True)
class Merged:
    """A project with the files that were given, and why some were refused."""

    detail: ProjectDetail
    refused: Mapping[str, str]  # file names -> reasons, "" for those that are listed
    replaced: Sequence[str] = ()  # names of accepted files that the known ones had to make room for


def with_provenance(given: ProjectDetail, is_here: Callable[[ProjectFile], bool]) -> ProjectDetail:
    """`given` with addresses here for the provenance of files of which one `is_here`."""
    files = [
        file._replace(
            provenance=file_rows.provenance_url(file.path) if file.provenance and is_here(file) else None
        )
        for file in given.files
    ]
    return replace(given, files=files)


def merge(
    here: ProjectDetail, given: ProjectDetail, pinned: Mapping[str, str], accepted: Collection[str] = ()
) -> Merged:
    """`here` with the files of `given`, none of which may have another hash than a known file of its name.

    `pinned` are the sha256 of files that were kept. Files named in `accepted` take the place of known ones. A
    yank of a file is taken over, too, and its provenance; nothing else is changed in what an upstream said.
    """
    rows = {row_name(row): (row, origin) for row, origin in file_rows.rows(here.files).pairs()}
    known = {file.filename: file for file in here.files}
    refused, replaced = {}, []
    versions = dict.fromkeys(here.versions)
    for file in given.files:
        old = known.get(file.filename)
        problem = _problem(file, old, pinned.get(file.filename))
        if problem and file.filename in accepted and "sha256" in file.hashes:
            replaced.append(file.filename)
            old, problem = None, ""
        refused[file.filename] = problem
        if problem:
            continue
        shown = file if old is None or "sha256" not in old.hashes else old
        if file.yanked and not shown.yanked:
            shown = shown._replace(yanked=file.yanked)
        shown = shown._replace(provenance=file.provenance or shown.provenance)
        if shown != old:
            pair = file_rows.row(shown), file_rows.origin(shown.url, offered=shown.offered)
            rows[row_name(pair[0])] = pair
    listed = [file for file in given.files if not refused[file.filename]]
    if listed:
        versions |= dict.fromkeys(given.versions)
    status = here.status or (given.status if listed else {})
    detail = replace(here, files=Rows.of(rows.values()), versions=tuple(versions), status=status)
    return Merged(detail, refused, replaced)


def row_name(row: str) -> str:
    return file_rows.filename_of(row)


def _problem(file: ProjectFile, old: ProjectFile | None, pinned: str | None) -> str:
    sha256 = file.hashes.get("sha256")
    if sha256 is None:
        return "it has no sha256"
    if pinned not in {None, sha256}:
        return f"the mirror had another file of this name before, with the sha256 {pinned}{_ACCEPT}"
    stated = old.hashes.get("sha256") if old else None
    if stated not in {None, sha256}:
        return f"the upstream lists another file of this name, with the sha256 {stated}{_ACCEPT}"
    return ""
