"""Ask devpi whether a client may send a large body, before the body is read."""

import io
from collections.abc import Iterable
from typing import Any

from devpi_server.log import threadlog
from pyramid.response import Response

from mirror.plugin.access import upload_refusal

# Leads a request without its body to our view. A client that sends it learns what an upload tells it too.
_HEADER = "X-Packhorse-Admission"
_UNKNOWN: tuple[str, list[tuple[str, str]], bytes] = (
    "503 Service Unavailable",
    [("Content-Type", "text/plain"), ("Retry-After", "10")],
    b"The server could not check what you may upload. Try again.\n",
)


class Admission:
    """Task of waitress (it asks with the head of `request` alone): lets its body in, or refuses it."""

    def __init__(self, channel: Any, request: Any) -> None:
        self._channel = channel
        self._request = request
        self.lane = "others"
        self.client = channel.client

    def service(self) -> None:
        """Ask, then let the channel go on."""
        try:
            status, headers, body = self._ask()
        except Exception as error:  # noqa: BLE001 (else the channel would wait for its answer for ever)
            threadlog.error("whether a client may send a body is not known: %r", error)
            status, headers, body = _UNKNOWN
        channel, request = self._channel, self._request
        with channel.requests_lock:
            channel.admission = None
            if status.startswith("204"):
                request.is_admitted = True
                request.expect_continue = request.expects_continue
                if request.expect_continue and not channel.requests:
                    channel.send_continue()
            else:
                request.error = _Refused(status, headers, body)
                request.completed = True
                channel.request = None
                channel.requests.append(request)
                if len(channel.requests) == 1:  # else it follows the one before, see HTTPChannel.service
                    channel.server.add_task(channel)
        channel.server.pull_trigger()

    def cancel(self) -> None:
        """The server ends."""
        self._channel.cancel()

    def _ask(self) -> tuple[str, list[tuple[str, str]], bytes]:
        environ = {**self._channel.task_class(self._channel, self._request).get_environment()}
        for header in ("CONTENT_TYPE", "HTTP_EXPECT", "HTTP_TRANSFER_ENCODING"):
            environ.pop(header, None)
        bare = {"REQUEST_METHOD": "OPTIONS", "CONTENT_LENGTH": "0", "wsgi.input": io.BytesIO()}
        environ |= {**bare, "HTTP_X_PACKHORSE_ADMISSION": environ["REQUEST_METHOD"]}
        answer: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> None:
            answer[:] = status, headers

        content: Any = self._channel.server.application(environ, start_response)
        try:
            body = b"".join(content)
        finally:
            getattr(content, "close", lambda: None)()
        return answer[0], answer[1], body


class _Refused:
    """An answer as waitress's ErrorTask takes it."""

    def __init__(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        left_out = {"content-length", "connection"}
        self._answer = status, [header for header in headers if header[0].lower() not in left_out], body

    def to_response(self, _ident: str | None = None) -> tuple[str, Iterable[tuple[str, str]], bytes]:
        return self._answer


def install(pyramid_config: Any) -> None:
    """Add the views that answer admissions: for the addresses below an index, and for all others."""
    views = {"/{user:[^+/]+}/{index:[^+/]+}{rest:(/.*)?}": _of_index, "/{path:.*}": _too_large}
    for pattern, view in views.items():
        pyramid_config.add_route(view.__name__, pattern, header=f"{_HEADER}:.*")
        pyramid_config.add_view(view, route_name=view.__name__, request_method="OPTIONS")


def _too_large(_request: Any) -> Any:
    return Response("No request to this address needs so much.\n", status=413, content_type="text/plain")


def _of_index(request: Any) -> Any:
    """204 for who may send a large body to this address: an upload, or another change of the index."""
    _ = request.context.stage  # 404 without such an index
    tests = request.matchdict["rest"].startswith("/+f/")
    permissions = ("toxresult_upload",) if tests else ("upload", "index_modify")
    user = request.authenticated_userid
    # Everybody may upload test results, as far as devpi knows (mirror/plugin/admin/logins.py).
    if (user or not tests) and any(request.has_permission(permission) for permission in permissions):
        return Response(status=204)
    return upload_refusal.answer(request)
