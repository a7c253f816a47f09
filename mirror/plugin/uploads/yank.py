"""PUT and DELETE /user/index/project/version/+yank: a release that nobody should newly choose (PEP 592)."""

from typing import Any

from devpi_server.normalized import normalize_name
from devpi_server.views import apiresult
from packaging.version import InvalidVersion, Version

from mirror.plugin.uploads.upload_stage import UploadStage


def install(pyramid_config: Any) -> None:
    """Add the address."""
    pyramid_config.add_route(
        "packhorse yank", "/{user:[^+/]+}/{index:[^+/]+}/{project:[^+/]+}/{version:[^/]+}/+yank"
    )
    for method, view in (("PUT", yank), ("DELETE", unyank)):
        pyramid_config.add_view(view, route_name="packhorse yank", request_method=method)


def yank(context: Any, request: Any) -> Any:
    """Yank; the body may be {"reason": "…"}."""
    try:
        body = request.json_body if request.body else {}
    except (ValueError, LookupError, RecursionError):
        body = None
    reason = body.get("reason") if isinstance(body, dict) else body
    if not (isinstance(body, dict) and isinstance(reason, str | None)):
        return apiresult(400, 'the body should be {"reason": "…"}')
    return _set(context, request, yanked=reason or True)


def unyank(context: Any, request: Any) -> Any:
    """Take it back."""
    return _set(context, request, yanked=False)


def _set(context: Any, request: Any, *, yanked: bool | str) -> Any:
    stage = context.stage
    if not isinstance(stage, UploadStage):
        return apiresult(
            400, f"{stage.name} caches an upstream: what is yanked there is for the upstream to say"
        )
    # Who may add a release may withdraw one; so may who could delete it.
    if not (request.has_permission("upload") or request.has_permission("del_verdata")):
        return apiresult(
            403 if request.authenticated_userid else 401, f"no permission to yank on {stage.name}"
        )
    project = normalize_name(request.matchdict["project"])
    versions = _stored(stage, project, request.matchdict["version"])
    if not versions:
        return apiresult(404, f"there is no {project} {request.matchdict['version']} on {stage.name}")
    for version in versions:
        stage.yank(project, version, yanked=yanked)
    done = "yanked" if yanked else "unyanked"
    return apiresult(200, f"{done} {project} {', '.join(versions)} on {stage.name}")


def _stored(stage: Any, project: str, asked: str) -> list[str]:
    """Spellings of a version in its uploads: 1.0 finds 1.0.0, or both where both were uploaded."""
    versions = stage.list_versions_perstage(project)
    return sorted(version for version in versions if version == asked or _equal(version, asked))


def _equal(one: str, other: str) -> bool:
    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return False
