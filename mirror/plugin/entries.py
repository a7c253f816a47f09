"""The path of a mirrored file in, devpi's entry of it out, made from the project's page when it is asked for.

Stock devpi writes an entry for every file of a page, thousands in a transaction, of which hardly any
is ever asked for: that is most of the time that a first request for a page takes, and most of the
database.
"""

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from devpi_common.metadata import splitbasename
from devpi_common.url import URL
from devpi_server.filestore import FileEntry, FileStore, key_from_link
from devpi_server.keyfs_types import RelPath

from mirror.plugin import facts, file_facts, naming, upstream
from mirror.plugin.facts import ProjectFacts
from mirror.plugin.file_facts import FileFacts, Rows
from mirror.plugin.known_pages import KnownPages

_HASHED = f'"url":"{file_facts.ROOT}+f/'  # of a file whose index is not known yet

_URL_WITH_HASH = re.compile(r'"url":"[./]*[^/"]+/[^/"]+/\+f/')


def use(pages: KnownPages) -> None:
    """From now on devpi finds entries that nobody has written."""
    stock = FileStore.get_file_entry

    def get_file_entry(store: Any, relpath: str) -> Any:
        entry = stock(store, RelPath(relpath))
        return entry if entry is not None and entry.meta else _from_page(store.keyfs, pages, relpath) or entry

    FileStore.get_file_entry = get_file_entry  # type: ignore[assignment, method-assign]


def placed(keyfs: Any, index: str, project: ProjectFacts) -> ProjectFacts:
    """With the paths at which devpi keeps the files of a mirror."""
    files = project.files
    if isinstance(files, Rows):  # their hashes are in the path already
        text = files.text.replace(_HASHED, f"{_HASHED[:-3]}{file_facts.quoted_path(index)}/+f/")
        return facts.with_files(project, Rows(text, files.origins))
    placed = [file._replace(path=path_of(keyfs, index, file)) for file in files]
    return facts.with_files(project, file_facts.rows(placed))


def placed_by_primary(index: str, project: ProjectFacts) -> ProjectFacts:
    """With the paths at which a primary says that it keeps them: its replica keeps them there too."""
    paths = (unquote(file.url.partition(f"/{index}/+")[2]) for file in project.files)
    placed = [file._replace(path=f"{index}/+{path}") for file, path in zip(project.files, paths, strict=True)]
    return facts.with_files(project, file_facts.rows(placed))


def path_of(keyfs: Any, index: str, file: FileFacts) -> str:
    """Where devpi keeps `file`: what its key_from_link says, which parses each URL several times."""
    digest = file.hashes.get("sha256")
    if digest:
        return f"{index}/+f/{digest[:3]}/{digest[3:16]}/{upstream.basename(file.url)}"
    user, name = index.split("/")
    link = URL(file.url).replace(fragment=file_facts.best_hash(file.hashes))
    return str(key_from_link(keyfs, link, user, name).relpath)


def to_write(said: ProjectFacts, old: ProjectFacts) -> Sequence[FileFacts]:
    """The files whose entries devpi may need: it could not `find` them, or `old` says something else."""
    now = file_facts.rows(said.files)
    if not old.files and _all_can_be_found(said.name, now):
        return ()
    before = set(file_facts.rows(old.files).pairs())
    gone = {file_facts.filename_of(row) for row, _ in before.difference(now.pairs())}
    return [
        file_facts.file_of(row, origin)
        for row, origin in now.pairs()
        if (row, origin) not in before
        and (file_facts.filename_of(row) in gone or not can_be_found(said.name, row))
    ]


def _all_can_be_found(project: str, rows: Rows) -> bool:
    """Of a usual page, without a look at each row: all names begin alike, all paths have a hash."""
    index = _URL_WITH_HASH.search(rows.text)
    begins = {f'{{"filename":"{name}-' for name in (project, project.replace("-", "_"))}
    usual = sum(map(rows.text.count, begins))
    return not rows or (index is not None and usual == rows.text.count(index[0]) == len(rows))


def can_be_found(project: str, row: str) -> bool:
    """Whether the entry of a file of `project` needs not be written: its path tells the project."""
    return _URL_WITH_HASH.search(row) is not None and upstream.begins_with(
        file_facts.filename_of(row), project
    )


def meta(project: str, file: FileFacts) -> dict[str, Any]:
    """The value of an entry, as devpi's FileStore.maplink makes it."""
    best = file_facts.best_hash(file.hashes)
    kind, _, digest = best.partition("=")
    value: dict[str, Any] = {"url": file.url, "hash_spec": best, "project": project}
    if digest:
        value["hashes"] = {kind: digest}
    try:
        value["version"] = splitbasename(file.filename)[1]
    except ValueError:  # a name without a version: the entry has none either
        return value
    return value


def keep(keyfs: Any, project: str, file: FileFacts) -> None:
    """As devpi's FileStore.maplink does it, with one write instead of five, and where one is needed."""
    kind_of_key = "STAGEFILE" if "/+f/" in file.path else "PYPIFILE_NOMD5"
    key = keyfs.get_key_instance(kind_of_key, RelPath(file.path))
    if key.exists() or not can_be_found(project, file_facts.row(file)):
        key.set({**key.get_mutable(), **meta(project, file)})


def find(pages: KnownPages, path: str) -> tuple[str, FileFacts] | None:
    """The project of the mirrored file at `path`, and what its page says of it."""
    user, index, kind, first, second, filename = path.split("/")
    for project in naming.beginnings(filename) if kind == "+f" else ():
        known = pages.read(f"{user}/{index}", project)
        for file in file_facts.rows(known.facts.files).with_text(f'":"{first}{second}') if known else ():
            if file.path == path:
                return project, file
    return None


def _from_page(keyfs: Any, pages: KnownPages, path: str) -> Any:
    found = find(pages, path) if path.count("/") == 5 else None
    if found is None:
        return None
    key = keyfs.get_key_instance("STAGEFILE", RelPath(path))
    return FileEntry(key, meta=meta(*found))
