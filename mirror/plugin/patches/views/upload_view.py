"""Check names, content, digests and attestations of an upload before devpi stores anything of it."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from devpi_server.normalized import normalize_name
from devpi_server.views import PyPIView, abort_submit

from mirror.plugin import reservations
from mirror.plugin.access import upload_refusal
from mirror.plugin.patches import replace_members
from mirror.plugin.uploads import attestations, contents, digests
from mirror.plugin.uploads import form as form_fields
from mirror.plugin.uploads.archives import InvalidUploadError
from mirror.plugin.uploads.upload_stage import UploadStage

_STOCK: Callable[[Any], Any] = PyPIView.submit
_STOCK_PUSH: Callable[[Any], Any] = PyPIView.pushrelease


def apply() -> None:
    """Answer uploads by our view, which calls devpi's."""
    replace_members(PyPIView, submit=_submit, pushrelease=_push_or_submit)


def _push_or_submit(view: Any) -> Any:
    """POST /user/index: devpi asks whether the field :action is true, which a file does not answer."""
    _texts(view.request)
    return _STOCK_PUSH(view)


def _submit(view: Any) -> Any:
    """POST /user/index/, the legacy upload API of Warehouse.

    What is refused becomes the status line, and part of a page of HTML that pyramid does not escape: nothing
    of the upload is in it but what InvalidUploadError quotes.
    """
    request, stage = view.request, view.context.stage
    if not isinstance(stage, UploadStage):
        return _STOCK(view)  # which says so
    if not request.has_permission("upload"):
        return upload_refusal.answer(request)
    form = request.POST
    content = form.get("content")
    texts = _texts(request)
    action = texts.get(":action")
    if action not in {"submit", "file_upload", "doc_upload"}:
        return _STOCK(view)  # which says so
    file: Any = getattr(content, "file", None)
    if file is None and action != "submit":
        abort_submit(request, 400, "the field content is no file")
    try:
        form_fields.check(texts, content.filename if action == "file_upload" else None)
        if file is not None and (wrong := digests.wrong(texts, file)):
            abort_submit(request, 400, f"the file has another {wrong[0]} than the form states")
        if not request.registry["xom"].config.args.skip_upload_checks:
            _check_content(action, content, texts)
    except InvalidUploadError as error:
        abort_submit(request, 400, str(error))
    if action != "file_upload" or form.get("attestations", "") == "":
        return _stored(view)
    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    file.seek(0)
    try:
        attested = attestations.parse(texts.get("attestations", ""), content.filename, sha256)
    except attestations.InvalidAttestationsError as error:
        abort_submit(request, 400, f"attestations: {error}")
    answer = _stored(view)
    provenance = attestations.provenance(attested, request.authenticated_userid)
    stage.attest(normalize_name(form["name"]), form["version"], content.filename, provenance)
    return answer


def _texts(request: Any) -> dict[str, str]:
    try:
        return form_fields.texts(request.POST)
    except InvalidUploadError as error:
        abort_submit(request, 400, str(error))
        raise


def _check_content(action: str | None, content: Any, texts: Mapping[str, str]) -> None:
    if action == "file_upload":
        contents.check(content.filename, content.file, contents.Release(texts["name"], texts["version"]))
    elif action == "doc_upload":
        contents.check_documentation(content.file)


def _stored(view: Any) -> Any:
    """devpi's answer to an upload or a registration, which reserves the name of the project."""
    request, stage = view.request, view.context.stage
    answer = _STOCK(view)
    project = reservations.normalize(request.POST["name"])
    if stage.has_project_perstage(project):
        reservations.reserve(stage.keyfs, project, by=request.authenticated_userid, index=stage.name)
    return answer
