"""The sha256 of each mirrored file that was ever kept, by its name: an upstream cannot change a file later.

They are in devpi's database, so that they outlive the file, the cached page and the disk, and are replicated.
A file of another content under a pinned name is refused and reported, until an administrator accepts it.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from devpi_server.keyfs_types import RelPath
from devpi_server.log import threadlog

# Keys of ours in devpi's database: file names and hashes of a project, and all files that were refused.
PINNED, CHANGED = "PACKHORSE_PINNED", "PACKHORSE_CHANGED"
_PINNED_PATH = "{user}/{index}/{project}/.pinned"
_CHANGED_PATH = "+changed-files"
MOST_REPORTED = 1000  # files; an upstream that changes more than that is another one


def add_keys(keyfs: Any) -> None:
    """Declare our keys."""
    keyfs.add_key(PINNED, _PINNED_PATH, dict)
    keyfs.add_key(CHANGED, _CHANGED_PATH, dict)


def path_of(index: str, project: str) -> str:
    """Path of the key that a page of `project` depends on."""
    return f"{index}/{project}/.pinned"


def pinned(keyfs: Any, index: str, project: str) -> Mapping[str, str]:
    """File names -> sha256, of the files of a project that were ever kept."""
    found: Mapping[str, str] = _pinned_key(keyfs, index, project).get()
    return found


def pin(keyfs: Any, entry: Any, sha256: str) -> None:
    """Remember the hash of a file that is kept now. Needs a write transaction."""
    key = _pinned_key(keyfs, f"{entry.user}/{entry.index}", entry.project)
    if entry.basename not in key.get():
        key.set({**key.get(), entry.basename: sha256})


def records(keyfs: Any) -> dict[str, dict[str, str]]:
    """Paths of keys -> file names -> sha256: all that is pinned."""
    return {path: dict(files) for path, files in _all(keyfs) if files}


def restore(keyfs: Any, found: Mapping[str, Mapping[str, str]]) -> None:
    """Take over what `records` gave elsewhere. Needs a write transaction."""
    for path, files in found.items():
        user, index, project, _ = path.split("/")
        key = _pinned_key(keyfs, f"{user}/{index}", project)
        key.set({**files, **key.get()})


def forget_index(keyfs: Any, index: str) -> None:
    """Forget what is pinned of an index that is deleted: a new one of its name has another upstream.

    Needs a write transaction.
    """
    for path, _ in list(_all(keyfs)):
        if path.startswith(f"{index}/"):
            keyfs.get_key_instance(PINNED, RelPath(path)).delete()
    known = reported(keyfs)
    left = {path: each for path, each in known.items() if not path.startswith(f"{index}/")}
    if left != known:
        _changed_key(keyfs).set(left)


def _all(keyfs: Any) -> Iterator[tuple[str, Mapping[str, str]]]:
    for item in keyfs.tx.iter_relpaths_at([keyfs.get_key(PINNED)], keyfs.tx.at_serial):
        yield item.relpath, item.value or {}  # None when it was deleted


def reported(keyfs: Any) -> dict[str, dict[str, str]]:
    """Paths "user/index/project/file name" of refused files -> both hashes, and when that was seen first."""
    return {path: dict(each) for path, each in _changed_key(keyfs).get().items()}


def report(keyfs: Any, path: str, *, kept: str, refused: str) -> None:
    """Report that an upstream has changed a file. Needs a write transaction."""
    threadlog.error(
        "%s was changed upstream, from %s to %s: it is refused, and the old one is served. If that is"
        " right: mirror accept-changed %s",
        *(path, kept, refused, path),
    )
    known = reported(keyfs)
    if len(known) < MOST_REPORTED or path in known:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        _changed_key(keyfs).set({**known, path: {"kept": kept, "refused": refused, "at": now}})


def accept(keyfs: Any, path: str) -> None:
    """Forget the hash of a reported file. Needs a write transaction. Raises KeyError."""
    _ = reported(keyfs)[path]
    forget(keyfs, path)


def forget(keyfs: Any, path: str) -> None:
    """Forget the hash of a file, and that it was changed. Needs a write transaction."""
    known = reported(keyfs)
    if known.pop(path, None):
        _changed_key(keyfs).set(known)
    user, index, project, filename = path.split("/")
    key = _pinned_key(keyfs, f"{user}/{index}", project)
    key.set({name: sha256 for name, sha256 in key.get().items() if name != filename})


def _pinned_key(keyfs: Any, index: str, project: str) -> Any:
    user, name = index.split("/")
    return keyfs.get_key(PINNED)(user=user, index=name, project=project)


def _changed_key(keyfs: Any) -> Any:
    return keyfs.get_key(CHANGED)
