"""devpi's index of uploads, with size, time, metadata and provenance of each file, and yanks."""

import base64
import contextlib
import copy
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from devpi_server.keyfs_types import RelPath
from devpi_server.markers import unknown
from devpi_server.model import PrivateStage, Rel, join_links_data
from devpi_server.normalized import normalize_name

from mirror.plugin import reservations
from mirror.plugin.metadata import wheel
from mirror.plugin.simple import detail, file_rows
from mirror.plugin.simple.detail import ProjectDetail
from mirror.plugin.simple.file_rows import ProjectFile, Rows
from mirror.plugin.uploads import attestations, version_rows
from mirror.plugin.uploads.attestations import InvalidAttestationsError
from mirror.plugin.uploads.version_rows import ProjectParts, VersionRows
from mirror.plugin.upstream.mirror_stage import CachingStage, Freshness

# In the PROJSIMPLELINKS dict of a project that has not changed since it has parts (version_rows.py): all its
# rows, compressed. Projects of a devpi without this plugin have lists of links there.
STORED = "packhorse"
# Keys of ours in a version's metadata: exported, pushed and replicated with it.
YANKED = "yanked"
PROVENANCE = "packhorse_provenance"  # JSON of provenance objects by `_provenance_key` of their files


class UploadStage(PrivateStage):
    """An index that files are uploaded to."""

    def refresh(self, project: str) -> Freshness:  # noqa: ARG002 (as Mirror has it)
        """Uploads are always up to date."""
        return Freshness()

    def facts(self, project: str) -> ProjectDetail:
        """Return the stored detail of `project`."""
        project = normalize_name(project)
        parts = self._parts(project)
        found = version_rows.in_order(parts.read() if parts else self._before_parts(project))
        rows = "\n".join(each.rows for each in found if each.rows)
        return ProjectDetail(project, Rows(rows), tuple(each.version for each in found))

    def list_versions_perstage(self, project: str) -> Any:
        """The versions that are here."""
        parts = self._parts(project)
        return {each.version for each in parts.read()} if parts else super().list_versions_perstage(project)

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

    def _set_versiondata(self, metadata: Any) -> None:
        """Store metadata and links of a version. devpi stores the list of all versions with each new one."""
        project, version = normalize_name(metadata["name"]), metadata["version"]
        key = self.key_projversion(project, version)
        before = key.get_mutable()
        with key.update() as versiondata:
            versiondata.update(metadata)
        self.add_project_name(project)
        # devpi changes links where they are: those before would look like those after.
        if "+elinks" in metadata or key.get() != before:
            self._store_rows(project, version)

    def del_versiondata(self, project: str, version: str, cleanup: bool = True) -> None:  # noqa: FBT001, FBT002 (devpi's signature)
        """Delete a version, and the project with the last one. Raises NotFound."""
        project = normalize_name(project)
        if not self.has_project_perstage(project):
            raise self.NotFound(f"project {project!r} not found on {self.name!r}")
        if not self.key_projversion(project, version).exists():
            raise self.NotFound(f"version {version!r} of project {project!r} not found on {self.name!r}")
        parts = self._in_parts(project)
        self._delete_files(project, version)
        parts.remove(version)
        if cleanup and not len(parts):
            self.del_project(project)

    def del_project(self, project: str) -> None:
        """Delete a project with all its versions."""
        project = normalize_name(project)
        parts = self._in_parts(project)
        for each in parts.read():
            self._delete_files(project, each.version)
        parts.delete()
        with self.key_projects.update() as projects:
            projects.remove(project)

    def _delete_files(self, project: str, version: str) -> None:
        for link in self.get_linkstore_perstage(project, version).get_links():
            link.entry.delete()
        self.key_projversion(project, version).delete()

    def get_last_project_change_serial_perstage(self, project: str, at_serial: int | None = None) -> int:
        """Serial of the project's last change; -1 if there was none. devpi looks at the versions."""
        tx: Any = self.keyfs.tx
        at = tx.at_serial if at_serial is None else at_serial
        names = tx.get_last_serial_and_value_at(self.key_projects, at, raise_on_error=False)
        head = tx.get_last_serial_and_value_at(self.key_projsimplelinks(project), at, raise_on_error=False)
        if not names or names[1] is None or head is None:
            return int(super().get_last_project_change_serial_perstage(project, at_serial=at))
        return int(head[0])

    def get_last_change_serial_perstage(self, at_serial: int | None = None) -> int:
        """Serial of the last change of the index or a project on it; devpi looks at all versions."""
        keyfs: Any = self.keyfs
        tx = keyfs.tx
        at = tx.at_serial if at_serial is None else at_serial
        without_projects: Any = copy.copy(self)
        without_projects.key_projects = keyfs.get_key("PROJNAMES")(user=self.username, index="+none")
        settings = super(UploadStage, without_projects).get_last_change_serial_perstage(at)
        names = tx.get_last_serial_and_value_at(self.key_projects, at, raise_on_error=False) or (-1, ())
        projects = (self.get_last_project_change_serial_perstage(project, at) for project in names[1] or ())
        return int(max(settings, names[0], *projects))

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

        So a version of which some files are here already can be pushed here with the others. A file that was
        lost comes back so, also where none may be replaced. Raises
        NonVolatile for other bytes; devpi answers 409 then, and would keep the metadata that came with them.
        """
        known = self.get_versiondata_perstage(project, version)
        pushed = last_modified is not None  # of an upload devpi itself says that it was there
        if known and hashes:
            linkstore = self.get_mutable_linkstore_perstage(project, version)
            for link in linkstore.get_links(Rel.ReleaseFile, basename=filename):
                is_lost = not link.entry.file_exists()  # `mirror check --repair` has put it aside, damaged
                if link.matches_hashes(hashes) and (is_lost or pushed or self.ixconfig.get("volatile")):
                    if is_lost:
                        entry: Any = self.filestore.get_file_entry_from_key(link.entry.key)
                        entry.file_set_content(
                            content_or_file, hashes=hashes, last_modified=entry.last_modified
                        )
                    linkstore._mark_dirty()  # noqa: SLF001 (listed in compat.py; callers add to its log)
                    return link
        try:
            return super().store_releasefile(
                project, version, filename, content_or_file, hashes=hashes, last_modified=last_modified
            )
        except self.NonVolatile:
            self.keyfs.tx.doom()
            raise

    def attest(self, project: str, version: str, filename: str, provenance: Any) -> None:
        """Keep the provenance object (PEP 740) of a file that was just stored."""
        links = self.get_linkstore_perstage(project, version).get_links(Rel.ReleaseFile)
        here = {link.basename: link for link in links}
        with self.key_projversion(project, version).update() as versiondata:
            known = _provenance(versiondata)
            known[_provenance_key(here[filename])] = provenance
            kept = {
                key for link in here.values() for key in (_provenance_key(link), link.hashes.get("sha256"))
            }
            current = {key: each for key, each in known.items() if key in kept}
            versiondata[PROVENANCE] = json.dumps(current)
        self._store_rows(project, version)

    def take_provenance(self, project: str, filename: str, content: bytes, user: str) -> None:
        """Keep the attestations in an object that `user` brings for a file that is here, and has none.

        Raises InvalidAttestationsError.
        """
        file = next((each for each in self.facts(project).files if each.filename == filename), None)
        if file is None:
            raise InvalidAttestationsError(f"{filename} is not here")
        if file.provenance is None:
            bundles = json.loads(content)["attestation_bundles"]
            listed = [each for bundle in bundles for each in bundle["attestations"]]
            attested = attestations.parse(json.dumps(listed), filename, file.hashes["sha256"])
            entry: Any = self.filestore.get_file_entry(RelPath(file.path))
            made = attestations.provenance(attested, user)
            self.attest(normalize_name(project), entry.version, filename, made)

    def provenance(self, entry: Any) -> str | None:
        """The JSON of the provenance object of the file `entry`, None without one."""
        found = _of_file(_provenance(self.get_versiondata_perstage(entry.project, entry.version)), entry)
        return None if found is None else json.dumps(found)

    def yank(self, project: str, version: str, *, yanked: bool | str) -> None:
        """Set or take back the yank of a version (PEP 592); `yanked` is False, True or the reason.

        Raises KeyError when there is no such version.
        """
        with self.key_projversion(project, version).update() as versiondata:
            if not versiondata:
                raise KeyError(version)
            versiondata[YANKED] = yanked
        self._store_rows(project, version)

    def _regen_simplelinks(self, project_input: str) -> None:
        """devpi calls it after changes of versions, each of which has stored its rows."""

    def _parts(self, project: str) -> ProjectParts:
        return ProjectParts(self.keyfs, self.key_projsimplelinks(project))

    def _in_parts(self, project: str) -> ProjectParts:
        """The parts of a project, which this makes where there are none yet."""
        parts = self._parts(project)
        if not parts:
            parts.fill(self._before_parts(project))
            self.key_projversions(project).delete()
        return parts

    def _before_parts(self, project: str) -> list[VersionRows]:
        """The versions of a project that an older version of ours stored, or devpi without us."""
        versions = super().list_versions_perstage(project)
        packed = self.key_projsimplelinks(project).get().get(STORED)
        stored = detail.from_text(project, _unpacked(packed)) if packed else None
        known, about = stored or (ProjectDetail(project), {})
        rows = iter(file_rows.rows(known.files).pairs())
        old = {name: [next(rows)[0] for _ in range(count)] for name, count in about.get("counts", ())}
        kept = [VersionRows(name, "\n".join(found)) for name, found in old.items() if name in versions]
        return kept + [
            VersionRows(name, self._rows(project, name, "")) for name in versions if name not in old
        ]

    def _store_rows(self, project: str, version: str) -> None:
        parts = self._in_parts(normalize_name(project))
        parts.put(version, self._rows(project, version, parts.rows_of(version)))

    def _rows(self, project: str, version: str, old: str) -> str:
        """The rows of the files of a version; `old` are those before a change."""
        known = {file.path: file for file in Rows(old)}
        return file_rows.rows(list(self._files(project, version, known))).text

    def _files(self, project: str, version: str, known: Mapping[str, ProjectFile]) -> Iterator[ProjectFile]:
        versiondata = self.get_versiondata_perstage(project, version)
        attested = _provenance(versiondata)  # once: a version may have hundreds of files
        for link in self.get_linkstore_perstage(project, version).get_links(Rel.ReleaseFile):
            entry = link.entry
            path, hashes = str(link.relpath), dict(link.hashes)
            here = known.get(path)
            unchanged = here.core_metadata if here and here.hashes == hashes else False
            yield ProjectFile(
                filename=link.basename,
                path=path,
                hashes=hashes,
                requires_python=versiondata.get("requires_python") or None,
                yanked=versiondata.get(YANKED, False),
                size=entry.file_size() if entry.file_exists() else None,
                upload_time=upload_time(entry.last_modified),
                core_metadata=unchanged or _metadata_hash(entry),
                provenance=file_rows.provenance_url(path) if _of_file(attested, link) else None,
            )


def _provenance_key(file: Any) -> str:
    """Two files of a version may have one content, and attestations name their file."""
    return f"{file.hashes.get('sha256')}/{file.basename}"


def _provenance(versiondata: Mapping[str, Any]) -> dict[str, Any]:
    """The provenance objects of a version, by `_provenance_key`; earlier versions kept them by the sha256."""
    found: dict[str, Any] = json.loads(versiondata.get(PROVENANCE, "{}"))
    return found


def _of_file(provenance: Mapping[str, Any], file: Any) -> Any:
    """The provenance object of a link or an entry, or None."""
    return provenance.get(_provenance_key(file)) or provenance.get(file.hashes.get("sha256"))


def _unpacked(packed: str) -> str:
    return zlib.decompress(base64.b64decode(packed)).decode()


def _metadata_hash(entry: Any) -> dict[str, str] | bool:
    """Found out once, when the wheel is uploaded, so that a page of thousands opens none of them."""
    if not (entry.basename.endswith(".whl") and entry.file_exists()):
        return False
    try:
        with entry.file_open_read() as file:
            return {"sha256": hashlib.sha256(wheel.read_metadata(file, entry.basename)).hexdigest()}
    except wheel.BrokenWheelError:
        return False


def upload_time(last_modified: str | None) -> str | None:
    """Time of an upload in the form of PEP 700. devpi keeps it through pushes and exports.

    What was pushed from a mirror has what the upstream called Last-Modified, which may be anything.
    """
    try:
        moment = parsedate_to_datetime(last_modified or "").astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000000Z")
