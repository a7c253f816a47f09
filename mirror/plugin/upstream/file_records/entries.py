"""Entries of mirrored files: devpi's record of a file, made from what the page of its project says."""

from typing import Any

from devpi_common.metadata import splitbasename
from devpi_server.filestore import FileEntry
from devpi_server.keyfs_types import RelPath

from mirror.plugin.simple import file_paths, file_rows, filenames
from mirror.plugin.simple.file_rows import ProjectFile
from mirror.plugin.upstream.page_cache import PageCache


def meta(project: str, file: ProjectFile) -> dict[str, Any]:
    """The value of an entry, as devpi's FileStore.maplink makes it."""
    best = file_rows.best_hash(file.hashes)
    kind, _, digest = best.partition("=")
    value: dict[str, Any] = {"url": file.url, "hash_spec": best, "project": project}
    if digest:
        value["hashes"] = {kind: digest}
    try:
        # Not as filenames.version_of tells it: devpi compares this with what its splitbasename tells of links
        # (mirror.py, del_versiondata).
        value["version"] = splitbasename(file.filename)[1]
    except ValueError:  # a name without a version: the entry has none either
        return value
    return value


def keep(keyfs: Any, project: str, file: ProjectFile) -> None:
    """Keep the record of a file like devpi's FileStore.maplink, with one write instead of five, if needed."""
    key = _key(keyfs, file.path)
    if key.exists() or not file_paths.can_be_found(project, file_rows.row(file)):
        old, new = key.get_mutable(), meta(project, file)
        hashes = {**old.get("hashes", {}), **new.get("hashes", {})}  # those found on arrival stay
        key.set({**old, **new, **({"hashes": hashes} if hashes else {})})


def forget_hashes(keyfs: Any, path: str) -> None:
    """Hold the file at `path` to no hash but those of its next page. Needs a write transaction."""
    key = _key(keyfs, path)
    key.set({name: value for name, value in key.get().items() if name != "hashes"})


def _key(keyfs: Any, path: str) -> Any:
    return keyfs.get_key_instance("STAGEFILE" if "/+f/" in path else "PYPIFILE_NOMD5", RelPath(path))


def find(pages: PageCache, path: str) -> tuple[str, ProjectFile] | None:
    """The project of the mirrored file at `path`, and what its page says of it."""
    filename = path.rpartition("/")[2]
    for project in filenames.beginnings(filename) if "/+f/" in path and path.count("/") == 5 else ():
        if file := pages.find(project, path):
            return project, file
    return None


def of_page(keyfs: Any, pages: PageCache, path: str) -> Any:
    """The entry of the file at `path`, None when no page lists it."""
    found = find(pages, path) if path.count("/") == 5 else None
    if found is None:
        return None
    key = keyfs.get_key_instance("STAGEFILE", RelPath(path))
    return FileEntry(key, meta=meta(*found))
