"""Files that an upstream has changed under their names: found on a new page, replaced by the old ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii
from typing import NamedTuple

from mirror.plugin.simple import detail, file_paths, file_rows
from mirror.plugin.simple.detail import ProjectDetail
from mirror.plugin.simple.file_rows import ProjectFile, Rows

_FORGEABLE = {"md5", "sha1"}  # of which two files can be made that have the same one


class ChangedFile(NamedTuple):
    """A file that a new page lists with another hash, or without the one that was known."""

    filename: str
    kept: str  # hash, as "sha256=…"
    refused: str  # the same, or "no hash"


@dataclass(frozen=True)
class HeldPage:
    """A page without the files that were changed."""

    detail: ProjectDetail
    changed: tuple[ChangedFile, ...] = ()


def hold(new: ProjectDetail, old: ProjectDetail | None, pinned: Mapping[str, str], index: str) -> HeldPage:
    """`new` with the files of `old` in the place of those of the same name that may have other bytes.

    `pinned` are the sha256 of files that were kept; of these, no page needs to be here any more.
    """
    if old is None and not pinned:
        return HeldPage(new)
    pairs = file_rows.rows(new.files).pairs()
    before = _known_files(pairs, old, pinned)
    changed, held = [], []
    for row, origin in pairs if before else ():
        known = before.get(file_rows.filename_of(row))
        file = file_rows.file_of(row, origin) if known else None
        change = _change(file, known, is_kept=file.filename in pinned) if file and known else None
        if not (file and known and change):
            held.append((row, origin))
            continue
        changed.append(change)
        shown = (known if known.path else _pinned_file(file, known, index))._replace(yanked=file.yanked)
        held.append((file_rows.row(shown), file_rows.origin(shown.url, offered=shown.offered)))
    return HeldPage(detail.with_files(new, Rows.of(held)), tuple(changed)) if changed else HeldPage(new)


def _change(file: ProjectFile, known: ProjectFile, *, is_kept: bool) -> ChangedFile | None:
    """Difference that makes `file` another one than `known`; None when it may be the same.

    The hash that a download will be held to must be a known one, unless none of those proves anything. A file
    that is kept is held to its own.
    """
    for kind, value in known.hashes.items():
        if (stated := file.hashes.get(kind, value)) != value:
            return ChangedFile(file.filename, f"{kind}={value}", f"{kind}={stated}")
    unforgeable = [kind for kind in known.hashes if kind not in _FORGEABLE]
    stated = file_rows.best_hash(file.hashes)
    if is_kept or not unforgeable or stated.partition("=")[0] in unforgeable:
        return None
    return ChangedFile(file.filename, file_rows.best_hash(known.hashes), stated or "no hash")


def completed(project: ProjectDetail, pinned: Mapping[str, str]) -> ProjectDetail:
    """`project` with the sha256 of files that were kept, where the upstream states none."""
    rows = file_rows.rows(project.files)
    if not pinned or rows.sha256s() is not None:
        return project
    return detail.with_files(project, Rows.of(_completed(*pair, pinned) for pair in rows.pairs()))


def _completed(row: str, origin: str, pinned: Mapping[str, str]) -> tuple[str, str]:
    file = file_rows.file_of(row, origin)
    sha256 = pinned.get(file.filename)
    if sha256 is None or "sha256" in file.hashes:
        return row, origin
    return file_rows.row(file._replace(hashes={"sha256": sha256, **file.hashes})), origin


def _known_files(
    pairs: Sequence[tuple[str, str]], old: ProjectDetail | None, pinned: Mapping[str, str]
) -> dict[str, ProjectFile]:
    """The files that are known by another row, by their names as rows have them."""
    gone = set(file_rows.rows(old.files).pairs()).difference(pairs) if old else ()
    found = {file_rows.filename_of(row): file_rows.file_of(row, origin) for row, origin in gone}
    for filename, sha256 in pinned.items():
        name = encode_basestring_ascii(filename)[1:-1]
        known = found.get(name, ProjectFile(filename, ""))
        found[name] = known._replace(hashes={**known.hashes, "sha256": sha256})
    return found


def _pinned_file(file: ProjectFile, known: ProjectFile, index: str) -> ProjectFile:
    """The file of which no more is known than its hash, where devpi keeps it."""
    return ProjectFile(
        file.filename,
        file_paths.path_of(index, file.url, known.hashes),
        file.url,
        known.hashes,
        file.requires_python,
        core_metadata=file_rows.promise(file.filename, known.hashes),
    )
