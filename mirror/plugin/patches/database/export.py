"""Let devpi-export find mirrored files by pages outside of its database, and keep what is ours in it."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

from devpi_server import importexport
from devpi_server.keyfs_types import RelPath
from devpi_server.model import User

from mirror.plugin import declarations, pinned_hashes, reservations
from mirror.plugin.patches import replace_members
from mirror.plugin.patches.indexes import stages
from mirror.plugin.simple import detail
from mirror.plugin.simple.detail import ProjectDetail
from mirror.plugin.upstream.file_records.first_seen import FirstSeen
from mirror.plugin.upstream.mirror_stage import CachingStage
from mirror.plugin.upstream.page_cache import PageCache
from mirror.plugin.upstream.services import Services

_STOCK: Any = importexport.Exporter
_STOCK_IMPORTER: Any = importexport.Importer
# Keys of dataindex.json; devpi without this plugin overlooks them.
RESERVED, PINNED, FIRST_SEEN = "packhorse_reserved", "packhorse_pinned", "packhorse_first_seen"


def apply(folder: str, first_seen_folder: str) -> None:
    """Export mirrors by the pages, and first-seen times, in these folders below devpi's server folder."""

    class Exporter(_STOCK):
        def __init__(self, tw: Any, xom: Any) -> None:
            path = Path(xom.config.server_path) / folder
            if path.exists():  # else our plugin has never served here
                unused: Any = None  # who exports asks no upstream and writes nothing
                pages = PageCache(path, lambda _: nullcontext())
                stages.apply(xom, Services(unused, unused, unused, pages, unused))
                User.MirrorStage = ExportedMirror  # type: ignore[assignment, method-assign]
            super().__init__(tw, xom)

        def dump_all(self, path: Path) -> None:
            self.export[RESERVED] = reservations.records(self.xom.keyfs)
            self.export[PINNED] = pinned_hashes.records(self.xom.keyfs)
            for each in declarations.ALL:
                self.export[each.exported_as] = each.settings(self.xom.keyfs)
            seen = FirstSeen(Path(self.xom.config.server_path) / first_seen_folder)
            self.export[FIRST_SEEN] = seen.records()
            super().dump_all(path)

    replace_members(importexport, Exporter=Exporter)


def apply_to_import(first_seen_folder: str) -> None:
    """Import what `apply` exports besides devpi's own."""

    class Importer(_STOCK_IMPORTER):
        def import_all(self, path: Path) -> None:
            super().import_all(path)
            FirstSeen(Path(self.xom.config.server_path) / first_seen_folder).restore(
                self.import_data.get(FIRST_SEEN, {})
            )
            with self.xom.keyfs.write_transaction():
                reservations.restore(self.xom.keyfs, self.import_data.get(RESERVED, {}))
                pinned_hashes.restore(self.xom.keyfs, self.import_data.get(PINNED, {}))
                for each in declarations.ALL:
                    each.declare(self.xom.keyfs, self.import_data.get(each.exported_as, {}))

    replace_members(importexport, Importer=Importer)


class ExportedMirror(CachingStage):
    """A mirror that shows the files that are here, and no others."""

    _last: tuple[str, Any] = ("", None)

    def get_simplelinks_perstage(self, project: str) -> Any:
        """devpi calls it twice for each version of a project."""
        if self._last[0] != project:
            self._last = project, self.SimpleLinks(self._links(project))
        return self._last[1]

    def facts(self, project: str) -> ProjectDetail:
        known = super().facts(project)
        return detail.with_files(known, [file for file in known.files if self._is_here(file.path)])

    def _is_here(self, path: str) -> bool:
        entry = self.filestore.get_file_entry(RelPath(path))
        return entry is not None and bool(entry.meta) and entry.file_exists()
