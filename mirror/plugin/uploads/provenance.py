"""GET /user/index/+f/…/FILE.provenance: the provenance object of an uploaded file (PEP 740)."""

from typing import Any

from pyramid.httpexceptions import HTTPForbidden, HTTPNotFound
from pyramid.response import Response

from mirror.plugin import responses
from mirror.plugin.uploads.attestations import MEDIA_TYPE
from mirror.plugin.uploads.upload_stage import UploadStage


def install(pyramid_config: Any) -> None:
    """Add the address, in front of devpi's of files."""
    pyramid_config.add_route(
        "packhorse provenance", "/{user:[^+/]+}/{index:[^+/]+}/+f/{relpath:.+}.provenance"
    )
    pyramid_config.add_view(serve, route_name="packhorse provenance")


def serve(context: Any, request: Any) -> Any:
    """The object as it was made when the file was uploaded."""
    responses.refuse_writes(request)
    if not request.has_permission("pkg_read"):
        raise HTTPForbidden("package read forbidden")
    path = request.path_info.strip("/").removesuffix(".provenance")
    entry = request.registry["xom"].filestore.get_file_entry(path)
    stage = context.stage
    known = entry is not None and entry.meta and isinstance(stage, UploadStage)
    found = stage.provenance(entry.project, entry.version, entry.hashes.get("sha256")) if known else None
    if found is None:
        raise HTTPNotFound(f"There is no provenance of {path}.")
    return Response(found, content_type=MEDIA_TYPE, charset="utf-8", cache_control="no-cache")
