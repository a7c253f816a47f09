"""Dependencies of project pages: devpi's keys and cached upstream pages that a page is rendered from.

A page is dropped before one of them changes (patches/database/page_invalidation.py for devpi's keys,
PageCache for upstream pages), and kept only if none has changed since its rendering began.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from mirror.plugin import declarations, pinned_hashes, reservations
from mirror.plugin.upstream.mirror_stage import CachingStage

# devpi's keys (model.py, add_keys): with a project among their parameters, and those that concern all
# projects: bases, whitelists and mirror URLs say who inherits what. USER has passwords and tokens, too.
OF_A_PROJECT = {"PROJSIMPLELINKS", "PROJVERSIONS", "PROJVERSION", reservations.RECORD}
# With publishers ends what nginx was granted (pages/grant_view.py).
OF_ALL = {"USER", "USERLIST", reservations.PATTERNS, *(each.key for each in declarations.ALL)}


def projects_of(keys: Iterable[Any]) -> set[str] | None:
    """The projects whose pages are made from `keys`, on whatever index; None for all projects."""
    keys = list(keys)
    if any(key.name in OF_ALL for key in keys):
        return None
    return {key.params["project"] for key in keys if key.name in OF_A_PROJECT}


class Snapshot:
    """The state that a page of `stage` is rendered from in the present transaction."""

    def __init__(self, stage: Any, project: str, outside: Callable[[], object]) -> None:
        """`outside`: the state of what is not in the database, as Guards.state."""
        self._stage = stage
        self._outside = outside
        self._seen_outside = outside()
        self._project = project
        self._serial = stage.keyfs.tx.at_serial
        self._cached_pages = self._versions()

    def is_current(self) -> bool:
        """Whether nothing that the page is made from has been written since."""
        if self._outside() != self._seen_outside:
            return False
        if self._cached_pages != self._versions():
            return False
        with self._stage.keyfs.get_connection() as connection:
            if connection.last_changelog_serial == self._serial:  # nothing at all has been written
                return True
            return all(_last_serial(connection, path) <= self._serial for path in self._keys())

    def _versions(self) -> list[Any]:
        """Versions of the upstream pages."""
        return [base.token(self._project) for base in self._stage.sro() if isinstance(base, CachingStage)]

    def _keys(self) -> Iterator[str]:
        """The paths of devpi's keys."""
        yield from (each.path for each in declarations.ALL)
        yield from reservations.paths_of(self._project)
        for base in self._stage.sro():
            yield base.user.key.relpath
            yield base.key_projsimplelinks(self._project).relpath
            if base.ixconfig["type"] == "mirror":
                yield pinned_hashes.path_of(base.name, self._project)  # shown where an upstream states none
            else:
                yield base.key_projects.relpath  # whether it has the project decides about its mirrors


def _last_serial(connection: Any, path: str) -> int:
    try:
        return int(connection.db_read_typedkey(path)[1])
    except KeyError:
        return -1  # it was never written
