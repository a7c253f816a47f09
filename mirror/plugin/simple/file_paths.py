"""Where devpi keeps the files of a mirror, and which of them it finds without having been told. Pure."""

import re
from collections.abc import Sequence
from urllib.parse import unquote, urlparse

from mirror.plugin.simple import detail, file_rows, filenames
from mirror.plugin.simple.detail import ProjectDetail
from mirror.plugin.simple.file_rows import ProjectFile, Rows

_HASHED = f'"url":"{file_rows.ROOT}+f/'  # of a file whose index is not known yet
_URL_WITH_HASH = re.compile(r'"url":"[./]*[^/"]+/[^/"]+/\+f/')


def placed(index: str, project: ProjectDetail) -> ProjectDetail:
    """With the paths at which devpi keeps the files of a mirror."""
    files = project.files
    if isinstance(files, Rows):  # their hashes are in the path already
        text = files.text.replace(_HASHED, f"{_HASHED[:-3]}{file_rows.quoted_path(index)}/+f/")
        return detail.with_files(project, Rows(text, files.origins))
    placed = [file._replace(path=path_of(index, file)) for file in files]
    return detail.with_files(project, file_rows.rows(placed))


def placed_by_primary(index: str, project: ProjectDetail) -> ProjectDetail:
    """With the paths at which a primary says that it keeps them: its replica keeps them there too."""
    paths = (unquote(file.url.partition(f"/{index}/+")[2]) for file in project.files)
    placed = [file._replace(path=f"{index}/+{path}") for file, path in zip(project.files, paths, strict=True)]
    return detail.with_files(project, file_rows.rows(placed))


def path_of(index: str, file: ProjectFile) -> str:
    """Where devpi keeps `file`: as its key_from_link (filestore.py), which parses each URL several times."""
    digest = file_rows.best_hash(file.hashes).partition("=")[2]
    if digest:
        return f"{index}/+f/{digest[:3]}/{digest[3:16]}/{filenames.of_url(file.url)}"
    url = urlparse(file.url)
    folder = f"{url.scheme}/{url.netloc}{url.path}".rpartition("/")[0]
    return f"{index}/+e/{re.sub('[^a-zA-Z0-9_.-]', '_', folder)}/{filenames.of_url(file.url)}"


def to_write(said: ProjectDetail, old: ProjectDetail) -> Sequence[ProjectFile]:
    """The files whose entries devpi may need: it could not find them, or `old` says something else."""
    now = file_rows.rows(said.files)
    if not old.files and _all_can_be_found(said.name, now):
        return ()
    before = set(file_rows.rows(old.files).pairs())
    gone = {file_rows.filename_of(row) for row, _ in before.difference(now.pairs())}
    return [
        file_rows.file_of(row, origin)
        for row, origin in now.pairs()
        if (row, origin) not in before
        and (file_rows.filename_of(row) in gone or not can_be_found(said.name, row))
    ]


def _all_can_be_found(project: str, rows: Rows) -> bool:
    """Of a usual page, without a look at each row: all names begin alike, all paths have a hash."""
    index = _URL_WITH_HASH.search(rows.text)
    begins = {f'{{"filename":"{name}-' for name in (project, project.replace("-", "_"))}
    usual = sum(map(rows.text.count, begins))
    return not rows or (index is not None and usual == rows.text.count(index[0]) == len(rows))


def can_be_found(project: str, row: str) -> bool:
    """Whether the entry of a file of `project` needs not be written: its path tells the project."""
    return _URL_WITH_HASH.search(row) is not None and filenames.begins_with(
        file_rows.filename_of(row), project
    )
