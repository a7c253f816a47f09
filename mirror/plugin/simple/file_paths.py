"""Paths of mirrored files in devpi's storage, and the entries that devpi cannot derive from a page."""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlparse

from mirror.plugin.simple import file_rows, filenames
from mirror.plugin.simple.detail import ProjectDetail
from mirror.plugin.simple.file_rows import FileObject, ProjectFile, Rows


def paths_of(index: str, files: Sequence[FileObject]) -> Sequence[str]:
    """Add the paths at which devpi keeps the files of a mirror; thousands in one pass."""
    digests = [file.hashes.get("sha256", "") for file in files]
    names = [file.url.rpartition("/")[2] for file in files]
    urls = "".join([file.url for file in files])
    if "" not in digests and file_rows.is_plain("".join(names)) and not ("#" in urls or "?" in urls):
        root = f"{file_rows.quoted_path(index)}/+f"
        found = zip(digests, names, strict=True)
        return [f"{root}/{digest[:3]}/{digest[3:16]}/{name}" for digest, name in found]
    return [file_rows.quoted_path(path_of(index, file.url, file.hashes)) for file in files]


def path_of(index: str, url: str, hashes: Mapping[str, str]) -> str:
    """Path of a file, as devpi's key_from_link (filestore.py) makes it, without parsing URLs again."""
    if digest := file_rows.best_hash(hashes).partition("=")[2]:
        return f"{index}/+f/{digest[:3]}/{digest[3:16]}/{filenames.of_url(url)}"
    parts = urlparse(url)
    folder = f"{parts.scheme}/{parts.netloc}{parts.path}".rpartition("/")[0]
    return f"{index}/+e/{re.sub('[^a-zA-Z0-9_.-]', '_', folder)}/{filenames.of_url(url)}"


def paths_at_primary(index: str, files: Sequence[FileObject]) -> Sequence[str]:
    """Add the paths that a primary's page states by its URLs: its replica keeps files there too."""
    return [f"{file_rows.quoted_path(index)}/+{file.url.partition(f'/{index}/+')[2]}" for file in files]


def to_write(now: ProjectDetail, old: ProjectDetail) -> Sequence[ProjectFile]:
    """The files whose entries devpi may need: it could not find them, or `old` says something else."""
    rows, before = file_rows.rows(now.files), file_rows.rows(old.files)
    if not before and rows.have_hashes() and filenames.all_begin_with(rows.filenames(), now.name):
        return ()
    known = set(before.pairs())
    gone = {file_rows.filename_of(row) for row, _ in known.difference(rows.pairs())}
    return [
        file_rows.file_of(row, origin)
        for row, origin in rows.pairs()
        if (row, origin) not in known
        and (file_rows.filename_of(row) in gone or not can_be_found(now.name, row))
    ]


def can_be_found(project: str, row: str) -> bool:
    """Whether the entry of a file of `project` needs not be written: its path tells the project."""
    return Rows(row).have_hashes() and filenames.all_begin_with([file_rows.filename_of(row)], project)
