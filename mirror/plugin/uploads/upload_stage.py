"""devpi's index of uploads, with size, time, metadata and provenance of each file, and yanks."""

import base64
import contextlib
import hashlib
import json
import zlib
from collections.abc import Iterator
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from devpi_server.markers import unknown
from devpi_server.model import PrivateStage, Rel, join_links_data
from devpi_server.normalized import normalize_name

from mirror.plugin import reservations
from mirror.plugin.metadata import wheel
from mirror.plugin.simple import detail, file_rows
from mirror.plugin.simple.detail import ProjectDetail
from mirror.plugin.simple.file_rows import ProjectFile, Rows
from mirror.plugin.upstream.mirror_stage import CachingStage, Freshness

# Our key in devpi's PROJSIMPLELINKS dict. The value is one string: devpi copies and wraps every
# container that it stores, which costs more than parsing JSON.
STORED = "packhorse"
# Keys of ours in a version's metadata: exported, pushed and replicated with it.
YANKED = "yanked"
PROVENANCE = "packhorse_provenance"  # JSON of provenance objects by the sha256 of their files


class UploadStage(PrivateStage):
    """An index that files are uploaded to."""

    def refresh(self, project: str) -> Freshness:  # noqa: ARG002 (as Mirror has it)
        """Uploads are always up to date."""
        return Freshness()

    def facts(self, project: str) -> ProjectDetail:
        """Return the stored detail of `project`; make it anew when devpi without this plugin stored it."""
        stored = self._stored(normalize_name(project))
        return stored[0] if stored else self._facts_by_version(normalize_name(project), {})[0]

    def _stored(self, project: str) -> tuple[ProjectDetail, dict[str, Any]] | None:
        packed = self.key_projsimplelinks(project).get().get(STORED)
        return detail.from_text(project, _unpacked(packed)) if packed else None

    def op_sro_check_mirror_whitelist(self, opname: str, **kw: Any) -> Any:
        """Call `opname` on this index and its bases, on mirrors unless their whitelist blocks the project.

        devpi leaves out a mirror that may show a project which is here too, as long as nobody knows whether
        the upstream has it: so it is asked. Raises GatewayError when the upstream does not say.
        """
        project = normalize_name(kw["project"])
        is_hidden = not self.filter_projects([project]) or reservations.hides_upstreams(self, project)
        info = None if is_hidden else self.get_mirror_whitelist_info(project)
        if info and info["blocked_by_mirror_whitelist"] is None:
            for base in self.sro():
                if isinstance(base, CachingStage) and base.has_project_perstage(project) is unknown:
                    with contextlib.suppress(self.UpstreamNotFoundError):
                        base.refresh(project)
        return super().op_sro_check_mirror_whitelist(opname, **kw)

    def get_simplelinks_perstage(self, project: str) -> Any:
        lists = detail.as_devpi_lists(self.facts(project))
        links = join_links_data(lists["links"], lists["requires_python"], lists["yanked"])
        return self.SimpleLinks(links, core_metadata=True)

    def set_versiondata(self, metadata: Any) -> None:
        """devpi shows new metadata of old files only after the next upload.

        A version that is pushed here may have files of its own here already, with their provenance.
        """
        here = self.get_versiondata_perstage(metadata["name"], metadata["version"])
        if here.get(PROVENANCE) and metadata.get(PROVENANCE):
            both = {**json.loads(here[PROVENANCE]), **json.loads(metadata[PROVENANCE])}
            metadata = {**metadata, PROVENANCE: json.dumps(both)}
        super().set_versiondata(metadata)
        self._regen_simplelinks(metadata["name"])

    def store_releasefile(  # noqa: PLR0913 (devpi's signature)
        self,
        project: Any,
        version: str,
        filename: str,
        content_or_file: Any,
        *,
        hashes: Any = None,
        last_modified: str | None = None,
    ) -> Any:
        """Store a file. The same bytes again change nothing: installers go by the time of the first.

        So a version of which some files are here already can be pushed here with the others. Raises
        NonVolatile for other bytes; devpi answers 409 then, and would keep the metadata that came with them.
        """
        known = self.get_versiondata_perstage(project, version)
        pushed = last_modified is not None  # of an upload devpi itself says that it was there
        if known and hashes and (pushed or self.ixconfig.get("volatile")):
            linkstore = self.get_mutable_linkstore_perstage(project, version)
            for link in linkstore.get_links(Rel.ReleaseFile, basename=filename):
                if link.matches_hashes(hashes) and link.entry.file_exists():
                    linkstore._mark_dirty()  # noqa: SLF001 (listed in compat.py; callers add to its log)
                    return link
        try:
            return super().store_releasefile(
                project, version, filename, content_or_file, hashes=hashes, last_modified=last_modified
            )
        except self.NonVolatile:
            self.keyfs.tx.doom()
            raise

    def attest(self, project: str, version: str, sha256: str, provenance: Any) -> None:
        """Keep the provenance object (PEP 740) of a file that was just stored."""
        links = self.get_linkstore_perstage(project, version).get_links(Rel.ReleaseFile)
        here = {link.hashes.get("sha256") for link in links}
        with self.key_projversion(project, version).update() as versiondata:
            known = {**json.loads(versiondata.get(PROVENANCE, "{}")), sha256: provenance}
            current = {digest: each for digest, each in known.items() if digest in here}
            versiondata[PROVENANCE] = json.dumps(current)
        self._regen_simplelinks(project)

    def provenance(self, project: str, version: str, sha256: str | None) -> str | None:
        """The JSON of the provenance object of a file, None without one."""
        known = json.loads(self.get_versiondata_perstage(project, version).get(PROVENANCE, "{}"))
        return json.dumps(known[sha256]) if sha256 in known else None

    def yank(self, project: str, version: str, *, yanked: bool | str) -> None:
        """Set or take back the yank of a version (PEP 592); `yanked` is False, True or the reason.

        Raises KeyError when there is no such version.
        """
        with self.key_projversion(project, version).update() as versiondata:
            if not versiondata:
                raise KeyError(version)
            versiondata[YANKED] = yanked
        self._regen_simplelinks(project)

    def _regen_simplelinks(self, project_input: str) -> None:
        """devpi reads every version on every upload; this only those that the transaction changed."""
        project = normalize_name(project_input)
        stored, about = self._stored(project) or (ProjectDetail(project), {})
        rows = iter(file_rows.rows(stored.files).pairs())
        old = {version: [next(rows) for _ in range(count)] for version, count in about.get("counts", ())}
        found, counts = self._facts_by_version(project, old)
        text = detail.as_text(found, {"counts": counts})
        self.key_projsimplelinks(project).set({STORED: _packed(text)})

    def _facts_by_version(
        self, project: str, old: dict[str, list[tuple[str, str]]]
    ) -> tuple[ProjectDetail, list[tuple[str, int]]]:
        """The facts, and how many files each version has: those in `old` are read again if they changed."""
        versions = self.list_versions_perstage(project)
        tx = self.keyfs.tx
        ordered = [version for version in old if version in versions]
        ordered += sorted(version for version in versions if version not in old)
        rows: list[tuple[str, str]] = []
        counts = []
        for version in ordered:
            changed = version not in old or tx.is_dirty(self.key_projversion(project, version))
            files = list(self._files(project, version)) if changed else ()
            of_version = file_rows.rows(files).pairs() if changed else old[version]
            rows += of_version
            counts.append((version, len(of_version)))
        return ProjectDetail(project, Rows.of(rows), tuple(ordered)), counts

    def _files(self, project: str, version: str) -> Iterator[ProjectFile]:
        versiondata = self.get_versiondata_perstage(project, version)
        attested = json.loads(versiondata.get(PROVENANCE, "{}"))
        for link in self.get_linkstore_perstage(project, version).get_links(Rel.ReleaseFile):
            entry = link.entry
            # Relative as the URLs of files are: the same page is served under all names of this server.
            provenance = f"{file_rows.ROOT}{file_rows.quoted_path(str(link.relpath))}.provenance"
            yield ProjectFile(
                filename=link.basename,
                path=str(link.relpath),
                hashes=dict(link.hashes),
                requires_python=versiondata.get("requires_python") or None,
                yanked=versiondata.get(YANKED, False),
                size=entry.file_size() if entry.file_exists() else None,
                upload_time=upload_time(entry.last_modified),
                core_metadata=_metadata_hash(entry) if link.basename.endswith(".whl") else False,
                provenance=provenance if link.hashes.get("sha256") in attested else None,
            )


def _packed(text: str) -> str:
    """A project is stored anew at each upload, and devpi keeps every value that there ever was, as text."""
    return base64.b64encode(zlib.compress(text.encode(), 1)).decode()


def _unpacked(packed: str) -> str:
    return zlib.decompress(base64.b64decode(packed)).decode()


def _metadata_hash(entry: Any) -> dict[str, str] | bool:
    """Found out once, when the wheel is uploaded, so that a page of thousands opens none of them."""
    if not entry.file_exists():
        return False
    try:
        with entry.file_open_read() as file:
            return {"sha256": hashlib.sha256(wheel.read_metadata(file, entry.basename)).hexdigest()}
    except wheel.BrokenWheelError:
        return False


def upload_time(last_modified: str | None) -> str | None:
    """As PEP 700 wants it. devpi keeps the time of the upload through pushes and exports.

    What was pushed from a mirror has what the upstream called Last-Modified, which may be anything.
    """
    try:
        moment = parsedate_to_datetime(last_modified or "")
    except ValueError:
        return None
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
