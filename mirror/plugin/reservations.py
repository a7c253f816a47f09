"""Reserved names: indexes of uploads show no project of an upstream under them (dependency confusion).

A name is reserved by its first upload, for all indexes of uploads and for ever, or by an administrator, who
may reserve patterns too (fnmatch). Reservations are in devpi's database: replicated, and in every backup.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase, translate
from typing import Any

from devpi_server.model import Rel
from packaging.utils import canonicalize_name

# Keys of ours in devpi's database. A page asks for the two sets; a record says who, when and on which index.
NAMES, PATTERNS, RECORD = "PACKHORSE_RESERVED", "PACKHORSE_RESERVED_PATTERNS", "PACKHORSE_RESERVATION"
_PATHS = {NAMES: "+reserved/names", PATTERNS: "+reserved/patterns"}
_RECORD_PATH = "+reserved/of/{project}"
FIRST_START = "packhorse"  # who reserved what a version before had uploaded


def add_keys(keyfs: Any) -> None:
    """Declare our keys."""
    for name, path in _PATHS.items():
        keyfs.add_key(name, path, set)
    keyfs.add_key(RECORD, _RECORD_PATH, dict)


def paths_of(project: str) -> tuple[str, ...]:
    """Paths of the keys that a page of `project` depends on."""
    return (_PATHS[PATTERNS], _RECORD_PATH.format(project=project))


def normalize(name: str) -> str:
    """The name or pattern in the form that pages compare it in (PEP 503)."""
    return canonicalize_name(name)


def is_pattern(name: str) -> bool:
    return any(sign in name for sign in "*?[")


def record(keyfs: Any, name: str) -> Mapping[str, Any]:
    """The record of a name or pattern: who reserved or released it, when and where. Empty without one."""
    found: Mapping[str, Any] = _record_key(keyfs, name).get()
    return found


def hides_upstreams(stage: Any, project: str) -> bool:
    """Whether `stage` shows nothing that an upstream has as `project` (normalised).

    A mirror itself is the public index, and hides only what an administrator reserved: the upload of a
    patched wheel must not take the project from those who use the mirror. The mirror_whitelist of an index
    goes before: it says that own and public releases of a name are to be mixed.
    """
    keyfs = stage.keyfs
    if not is_reserved(keyfs, project):
        return False
    if stage.ixconfig["type"] == "mirror":
        return _matches(keyfs, project) or not record(keyfs, project).get("index")
    return not _is_whitelisted(stage, project)


def is_reserved(keyfs: Any, project: str) -> bool:
    """Whether a normalised name is reserved, by an upload or by an administrator."""
    return _matches(keyfs, project) or project in keyfs.get_key(NAMES).get()


def _matches(keyfs: Any, project: str) -> bool:
    return any(fnmatchcase(project, pattern) for pattern in keyfs.get_key(PATTERNS).get())


def hidden_among(stage: Any, projects: Iterable[str]) -> set[str]:
    """Find the projects of a mirror that `stage` does not show; an index may have half a million."""
    reserved = stage.keyfs.get_key(NAMES).get()
    patterns = [translate(pattern) for pattern in stage.keyfs.get_key(PATTERNS).get()]
    matches = re.compile("|".join(patterns)).match if patterns else lambda _: None
    found = [project for project in projects if project in reserved or matches(project)]
    return {project for project in found if hides_upstreams(stage, normalize(project))}


def _is_whitelisted(stage: Any, project: str) -> bool:
    """Decide like devpi (model.py, op_sro_check_mirror_whitelist)."""
    names: set[str] | None = None
    for base in stage.sro():
        if base.ixconfig["type"] == "mirror":
            continue
        own = set(base.ixconfig.get("mirror_whitelist", ()))
        union = stage.get_whitelist_inheritance() == "union"
        names = own if names is None else names | own if union else names & own
        if names & {"*", project}:
            return True
    return False


def reserve(keyfs: Any, name: str, *, by: str, index: str = "") -> None:
    """Reserve a normalised name or pattern; `index` is that of its upload, "" when it is reserved on purpose.

    Needs a write transaction.
    """
    names, known = _names_key(keyfs, name), record(keyfs, name)
    if name in names.get() and (index or not known["index"]):
        return
    names.set({*names.get_mutable(), name})
    _record_key(keyfs, name).set({"by": by, "at": _now(), "index": index})


def release(keyfs: Any, name: str, *, by: str) -> None:
    """Take a reservation back, until the next upload. Needs a write transaction. Raises KeyError."""
    names = _names_key(keyfs, name)
    left = names.get_mutable()
    left.remove(name)
    names.set(left)
    _record_key(keyfs, name).set({**record(keyfs, name), "released_by": by, "released_at": _now()})


def records(keyfs: Any) -> dict[str, dict[str, Any]]:
    """The records of all names and patterns that are reserved."""
    names = sorted({*keyfs.get_key(NAMES).get(), *keyfs.get_key(PATTERNS).get()})
    return {name: dict(record(keyfs, name)) for name in names}


def restore(keyfs: Any, found: Mapping[str, Mapping[str, Any]]) -> None:
    """Take over what `records` gave elsewhere. Needs a write transaction."""
    for name, each in found.items():
        names = _names_key(keyfs, name)
        names.set({*names.get_mutable(), name})
        _record_key(keyfs, name).set(dict(each))


def reserve_existing(xom: Any) -> None:
    """Reserve the names that are on indexes of uploads without a record: of an import, or an older version.

    A project whose files were all pushed from mirrors is a public one, and stays so.
    """
    with xom.keyfs.read_transaction():
        stages = [stage for user in xom.model.get_userlist() for stage in user.getstages()]
        found = dict(_without_record(xom.keyfs, stages))
    if found:
        with xom.keyfs.write_transaction():
            for name, (index, is_own) in found.items():
                reserve(xom.keyfs, name, by=FIRST_START, index=index)
                if not is_own:
                    release(xom.keyfs, name, by=FIRST_START)


def _without_record(keyfs: Any, stages: Sequence[Any]) -> Iterator[tuple[str, tuple[str, bool]]]:
    """Names, an index that has each, and whether it is one of our own; an own one comes last."""
    mirrors = {stage.name for stage in stages if stage.ixconfig["type"] == "mirror"}
    own: set[str] = set(keyfs.get_key(NAMES).get())
    for stage in stages:
        projects = () if stage.name in mirrors else stage.list_projects_perstage()
        for project in projects:
            if project in own or record(keyfs, project):
                continue
            is_own = not _is_pushed(stage, project, mirrors)
            own |= {project} if is_own else set()
            yield project, (stage.name, is_own)


def _is_pushed(stage: Any, project: str, mirrors: set[str]) -> bool:
    """Whether all files of a project come from mirrors; one that does not is mostly in the first version."""
    links = [
        link
        for version in stage.list_versions_perstage(project)
        for link in stage.get_linkstore_perstage(project, version).get_links(Rel.ReleaseFile)
    ]
    return bool(links) and all(any(log.get("src") in mirrors for log in link.get_logs()) for link in links)


def _names_key(keyfs: Any, name: str) -> Any:
    return keyfs.get_key(PATTERNS if is_pattern(name) else NAMES)


def _record_key(keyfs: Any, name: str) -> Any:
    return keyfs.get_key(RECORD)(project=name)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
