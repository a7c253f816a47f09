"""GET /user/index/+f/…/FILE.provenance: the provenance object of an uploaded or a cached file (PEP 740)."""

from typing import Any

from pyramid.httpexceptions import HTTPForbidden, HTTPNotFound
from pyramid.response import Response

from mirror.plugin.access import clients
from mirror.plugin.evidence import provenance_objects
from mirror.plugin.evidence.provenance_objects import InvalidProvenanceError, ProvenanceObjects
from mirror.plugin.files import lookup
from mirror.plugin.files.views import FileViews
from mirror.plugin.guards import denied_downloads
from mirror.plugin.guards.guards import Guards
from mirror.plugin.simple import file_rows
from mirror.plugin.uploads.attestations import MEDIA_TYPE
from mirror.plugin.uploads.upload_stage import UploadStage
from mirror.plugin.upstream.client import GatewayError, UpstreamClient
from mirror.plugin.upstream.mirror_stage import CachingStage


class ProvenanceViews:
    """The view of one devpi-server process."""

    def __init__(
        self, client: UpstreamClient, objects: ProvenanceObjects, files: FileViews, guards: Guards
    ) -> None:
        self._client = client
        self._objects = objects
        self._files = files
        self._guards = guards

    def install(self, pyramid_config: Any) -> None:
        """Add the address, in front of devpi's of files."""
        pyramid_config.add_route(
            "packhorse provenance", "/{user:[^+/]+}/{index:[^+/]+}/+f/{relpath:.+}.provenance"
        )
        pyramid_config.add_view(self.serve, route_name="packhorse provenance")

    def serve(self, context: Any, request: Any) -> Any:
        """The object as it came with the upload, or as the upstream has it. Raises GatewayError."""
        if not request.has_permission("pkg_read"):
            raise HTTPForbidden("package read forbidden")
        path = request.path_info.strip("/").removesuffix(".provenance")
        client = clients.of_request(request)
        known = lookup.known(context.stage.xom.filestore, path)
        entry = known or self._files.find(context.stage, path, client)
        holder = entry and context.stage.xom.model.getstage(entry.user, entry.index)
        if holder:
            denied_downloads.check(self._guards, request, context.stage, entry)
        found: bytes | str | None = None
        if isinstance(holder, UploadStage):
            found = holder.provenance(entry)
        elif isinstance(holder, CachingStage):
            found = self._of_upstream(holder, entry, client)
        if found is None:
            raise HTTPNotFound(f"There is no provenance of {path}.")
        body = found if isinstance(found, bytes) else found.encode()
        return Response(body, content_type=MEDIA_TYPE, charset="utf-8", cache_control="no-cache")

    def _of_upstream(self, holder: CachingStage, entry: Any, client: str) -> bytes | None:
        """The object of a cached file, from the disk or the upstream; None without one that can be read."""
        file = file_rows.rows(holder.facts(entry.project).files).find(str(entry.relpath))
        if file is None or not file.provenance:
            return None
        if stored := self._objects.read(holder.name, file.filename, file.hashes.get("sha256", "")):
            return stored
        with self._client.slot(client):
            try:
                content = self._objects.fetch(self._client, holder, entry.project, file)
                provenance_objects.check(content)
            except InvalidProvenanceError:
                return None
            except GatewayError as error:
                if error.status == 404:
                    return None
                raise
        return content
