"""WSGI middleware: answer from the page store without entering pyramid.

Entering it costs three times as much as the whole answer does.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

from mirror.plugin.audit import tween
from mirror.plugin.pages import grant_view, response
from mirror.plugin.pages.response import PageResponse
from mirror.plugin.pages.store import PageKey, PageStore

# NAME_MAX is 255 bytes.
PAGE = re.compile(r"/([^/+]{1,255}/[^/+]{1,255})/\+simple/([a-z0-9-]{1,255})/")
_REFUSAL = b"The address is not UTF-8.\n"
_REFUSAL_LENGTH = "Content-Length", str(len(_REFUSAL))
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class PageMiddleware:
    """Answer from `store`, or let `app` answer."""

    def __init__(self, app: Application, store: PageStore) -> None:
        self._app = app
        self._store = store

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """WSGI (PEP 3333)."""
        if environ["PATH_INFO"].startswith(grant_view.ADDRESS):
            environ[grant_view.NOTED] = self._store.granted()  # before devpi looks who may read
            if "HTTP_X_REAL_IP" in environ:  # of nginx, which asks once more for its client: recorded then
                environ[tween.RECORDED] = True
        found = self.answer(environ)
        if found is None and not _is_text(environ["PATH_INFO"]):
            start_response("400 Bad Request", [("Content-Type", "text/plain"), _REFUSAL_LENGTH])
            # After HEAD, a proxy would take a body for the begin of the next answer (RFC 9112, 6.3).
            return [b"" if environ["REQUEST_METHOD"] == "HEAD" else _REFUSAL]
        if found is None:
            return self._app(environ, start_response)
        start_response(found.status, found.headers)
        return [found.body]

    def answer(self, environ: dict[str, Any]) -> PageResponse | None:
        """The answer from the store alone, None when it takes more."""
        asked = PAGE.fullmatch(environ["PATH_INFO"])
        if (
            asked is None
            or environ["REQUEST_METHOD"] not in {"GET", "HEAD"}
            or environ.get("QUERY_STRING")
            or "HTTP_X_DEVPI_REPLICA_UUID" in environ  # replicas need the serial that devpi adds
        ):
            return None
        form = response.representation(environ.get("HTTP_ACCEPT"), environ.get("HTTP_ACCEPT_ENCODING"))
        page = form and self._store.read(PageKey(asked[1], asked[2]), form.kind)
        return response.respond(environ, form, page) if form and page else None


def _is_text(path: str) -> bool:
    """Whether a path is UTF-8: pyramid answers 500 when it is not. WSGI has bytes as Latin-1."""
    try:
        path.encode("latin-1").decode()
    except UnicodeDecodeError:
        return False
    return True


def install(pyramid_config: Any, store: PageStore) -> None:
    """Wrap the application that devpi is about to make of `pyramid_config`."""
    make_wsgi_app = pyramid_config.make_wsgi_app
    pyramid_config.make_wsgi_app = lambda: PageMiddleware(make_wsgi_app(), store)
