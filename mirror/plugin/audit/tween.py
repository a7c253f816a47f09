"""Tweens that record what requests have done once it is committed, and what they were denied."""

import contextlib
import json
from collections.abc import Callable
from typing import Any

from pyramid.httpexceptions import HTTPException
from pyramid.tweens import EXCVIEW

from mirror.plugin.audit import events, requests

_LOGGING = "devpi_server.views.tween_request_logging"
_TRANSACTION = "devpi_server.views.tween_keyfs_transaction"
_WHO, _RECORDED = "packhorse.who", "packhorse.recorded"
_STATUS = {401: "permission", 403: "permission", 429: "throttle"}
_LARGEST = 64 * 1024  # bytes of JSON that are looked at

Handler = Callable[[Any], Any]


def install(pyramid_config: Any) -> None:
    """Add the tweens, one on each side of devpi's transaction."""
    pyramid_config.add_tween(f"{__name__}.recording", under=_LOGGING, over=_TRANSACTION)
    # devpi's views raise their answers: what makes answers of them is to stay inside of the transaction.
    pyramid_config.add_tween(f"{__name__}.naming", under=_TRANSACTION, over=EXCVIEW)


def naming(handler: Handler, _registry: Any) -> Handler:
    """Note who asks, while there is a transaction to find that out."""

    def name(request: Any) -> Any:
        try:
            return handler(request)
        finally:
            if request.method not in {"GET", "HEAD"}:
                with contextlib.suppress(HTTPException):  # of a token that is refused: nobody
                    request.environ[_WHO] = request.authenticated_userid

    return name


def recording(handler: Handler, _registry: Any) -> Handler:
    """Record what came of a request that changes something, and of one that was denied."""

    def record(request: Any) -> Any:
        try:
            answer = handler(request)
        except Exception:
            _record(request, 500)
            raise
        _record(request, answer.status_code)
        return answer

    return record


def denied(request: Any, action: str, rule: str, **more: Any) -> None:
    """Record a denial of this request, which the tween then does not record again."""
    if not request.environ.get(_RECORDED):
        request.environ[_RECORDED] = True
        where = {"from": requests.address(request.environ), **requests.place(request.path_info)}
        events.denied(action, rule, **{**where, **more})


def _record(request: Any, status: int) -> None:
    environ = request.environ
    is_question = request.method == "OPTIONS"  # of connections/admission.py, whether a body may come
    if is_question and status < 400:
        return
    method = environ.get("HTTP_X_PACKHORSE_ADMISSION", "OPTIONS") if is_question else request.method
    form = environ.get("webob._parsed_post_vars")
    form = form[0] if form and request.method == "POST" else {}
    if not form and status >= 400 and (is_question or request.content_type.startswith("multipart/")):
        form = {":action": "file_upload"}  # refused before it was read
    action = requests.action(method, request.path_info, form)
    if action is None:
        if status in _STATUS and environ.keys() & {"HTTP_AUTHORIZATION", "HTTP_X_DEVPI_AUTH"}:
            denied(request, "read", _STATUS[status])
        return
    who = environ.get(_WHO)
    if status in _STATUS:
        denied(request, action, _STATUS[status], who=who)
    elif not environ.get(_RECORDED):
        more = {**requests.place(request.path_info), **_details(request, action, form, status)}
        result = "ok" if status < 400 else "failed"
        failed = {} if status < 400 else {"status": status}
        who = more.pop("user", None) if action == "login" and status < 400 else who
        events.record(action, result, who=who, **{"from": requests.address(environ)}, **more, **failed)


def _details(request: Any, action: str, form: Any, status: int) -> dict[str, str]:
    if ":action" in form:
        return requests.of_form(form)
    if not 0 < (request.content_length or 0) <= _LARGEST or not request.is_body_readable:
        return {}
    try:
        body = json.loads(request.body)
    except (ValueError, OSError):
        return {}
    if action == "push":
        return requests.of_push(body)
    if action == "login":
        # Of a login that failed, it may be a password that was typed into the wrong field.
        return {"user": str(body.get("user"))} if isinstance(body, dict) and status < 400 else {}
    return requests.of_change(body) if action.startswith(("user-", "index-")) else {}
