"""Tweens that record what requests have done once it is committed, and what they were denied."""

import contextlib
from collections.abc import Callable
from typing import Any

from pyramid.httpexceptions import HTTPException
from pyramid.tweens import EXCVIEW

from mirror.plugin.access import read_tokens, tokens
from mirror.plugin.audit import events, requests

LOGGING = "devpi_server.views.tween_request_logging"
TRANSACTION = "devpi_server.views.tween_keyfs_transaction"
RECORDING = f"{__name__}.recording"
_WHO, _TOKEN, _RUN = "packhorse.who", "packhorse.token", "packhorse.run"
DETAILS = "packhorse.details"  # in the environ: what a view itself says about what it has done
FAILURE = "packhorse.failure"  # in the environ: why a view could not do it, for who runs the mirror
RECORDED = "packhorse.recorded"  # in the environ: what came of the request is not to be recorded
_STATUS = {401: "permission", 403: "permission", 429: "throttle"}

Handler = Callable[[Any], Any]


def install(pyramid_config: Any) -> None:
    """Add the tweens, one on each side of devpi's transaction."""
    pyramid_config.add_tween(RECORDING, under=LOGGING, over=TRANSACTION)
    # devpi's views raise their answers: what makes answers of them is to stay inside of the transaction.
    pyramid_config.add_tween(f"{__name__}.naming", under=TRANSACTION, over=EXCVIEW)


def naming(handler: Handler, _registry: Any) -> Handler:
    """Note who asks, while there is a transaction to find that out."""

    def name(request: Any) -> Any:
        status = 500
        try:
            answer = handler(request)
            status = answer.status_code
            return answer
        finally:
            if request.method not in {"GET", "HEAD"} or status in _STATUS:
                _name(request)

    return name


def _name(request: Any) -> None:
    request.environ[_TOKEN] = tokens.stated(request)
    with contextlib.suppress(HTTPException):  # of a token that is refused: nobody
        request.environ[_WHO] = request.authenticated_userid
        request.environ[_RUN] = tokens.run(request)
        if request.environ[_WHO]:
            request.environ[_TOKEN] = tokens.used(request)


def recording(handler: Handler, _registry: Any) -> Handler:
    """Record what came of a request that changes something, and of one that was denied."""

    def record(request: Any) -> Any:
        try:
            answer = handler(request)
        except Exception:
            _record(request, 500, None)
            raise
        _record(request, answer.status_code, answer)
        return answer

    return record


def denied(request: Any, action: str, rule: str, **more: Any) -> None:
    """Record a denial of this request, which the tween then does not record again."""
    if not request.environ.get(RECORDED):
        request.environ[RECORDED] = True
        where = {"from": requests.address(request.environ), **requests.place(request.path_info)}
        events.denied(action, rule, **{**where, **more})


def _record(request: Any, status: int, answer: Any) -> None:
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
    who, (claimed, token) = environ.get(_WHO), environ.get(_TOKEN) or (None, None)
    # Who shows a token that is refused is its user no more than who types a wrong password.
    claimed = None if who else claimed
    if action is None:
        if status in _STATUS and environ.keys() & {"HTTP_AUTHORIZATION", "HTTP_X_DEVPI_AUTH"}:
            denied(request, "read", _STATUS[status], who=who, claimed=claimed, token=token)
        return
    done = answer if status < 400 else None
    more = (done and environ.get(DETAILS)) or _details(request, action, form, done)
    if status in _STATUS:
        denied(request, action, _STATUS[status], who=who, claimed=claimed, token=token, **more)
    elif action == "prune" and done and not more:
        return  # nothing was removed: the last call of a prune only tidies folders
    elif not environ.get(RECORDED):
        of_token = {"token": token, "run": environ.get(_RUN)} if who and token else {}
        more = {**of_token, **requests.place(request.path_info), **more}
        result = "ok" if status < 400 else "failed"
        failed = {} if status < 400 else {"status": status, "detail": environ.get(FAILURE)}
        who = more.pop("user", None) if action == "login" and status < 400 else who
        events.record(action, result, who=who, **{"from": requests.address(environ)}, **(more | failed))


def _details(request: Any, action: str, form: Any, done: Any) -> dict[str, str]:
    """Subject of a request besides its path; `done` is the answer, None for an error."""
    if form.get(":action") not in {None, ""}:  # of a file, nobody may ask whether it is true
        return requests.of_form(form)
    if done and action == "prune":
        return requests.of_files(done.json["result"])
    if done and getattr(request.matched_route, "name", "") in {"user-token-create", read_tokens.ROUTE}:
        return tokens.described(done.json.get("result", done.json)["token"])
    if action == "bundle":
        names = ", ".join(requests.accepted(request.query_string)) if done else ""
        return {"detail": f"accept-changed: {names}"} if names else {}
    body = _json(request)
    if action == "login":
        # Of a login that failed, it may be a password that was typed into the wrong field.
        return {"user": str(body.get("user"))} if isinstance(body, dict) and done else {}
    return _OF_BODY.get(action, lambda _: {})(body)


_OF_BODY: dict[str, Callable[[Any], dict[str, str]]] = {
    "push": requests.of_push,
    "repair": requests.of_repair,
    "user-create": requests.of_change,
    "user-change": requests.of_change,
    "index-create": requests.of_change,
    "index-change": requests.of_change,
}


def _json(request: Any) -> Any:
    """The body of a request, read as views read it; None for one that is large, or no JSON."""
    if not 0 < (request.content_length or 0) <= requests.LARGEST_JSON or not request.is_body_readable:
        return None
    try:
        return request.json_body
    except (ValueError, LookupError, OSError, RecursionError):  # LookupError: a charset that nobody knows
        return None
