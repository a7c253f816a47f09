"""Client of devpi-server's JSON API, with its refusals and failures as PackhorseError."""

import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from packhorse.errors import PackhorseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

TIMEOUT = 60.0  # seconds


class RefusedError(PackhorseError):
    """The server has answered with an error, `status` of HTTP: it has done nothing of what was asked."""

    def __init__(self, message: str, hint: str, status: int, reason: str = "") -> None:
        super().__init__(message, hint)
        self.status = status
        self.reason = reason or message


@contextmanager
def about(what: str) -> "Iterator[None]":
    """Say in refusals `what` was asked, such as "demo on company/dev", instead of the address."""
    try:
        yield
    except RefusedError as error:
        raise RefusedError(f"{what}: {error.reason}", error.hint, error.status) from error


class Api(Protocol):
    """The calls that we need. Tests pass a fake."""

    def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 (JSON)
        """Call devpi; the `result` of its answer. Raises RefusedError, PackhorseError without an answer."""

    def accepts(self, user: str, password: str) -> bool:
        """Whether the server lets `user` in with `password`."""


def client(
    timeout: float = TIMEOUT,
    auth: "tuple[str, str] | Callable[[httpx.Request], httpx.Request] | None" = None,
    url: str = "http:",
) -> "httpx.Client":
    """An HTTP client for our own server: no proxy and no netrc; certificates are for nginx in front of it."""
    import httpx

    # Reading a list of certificates costs 50 ms, and devpi-server itself speaks plain HTTP.
    is_plain = url.startswith("http:")
    verify = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if is_plain else ssl.create_default_context()
    return httpx.Client(auth=auth, timeout=timeout, trust_env=False, verify=verify)


def login_at(url: str, name: str, password: str) -> "Callable[[httpx.Request], httpx.Request]":
    """Basic login (RFC 7617) that the server at `url` gets, and no other that a page may name."""
    import httpx

    own, basic = httpx.URL(url), httpx.BasicAuth(name, password)

    def sign(request: httpx.Request) -> httpx.Request:
        same = (request.url.scheme, request.url.netloc) == (own.scheme, own.netloc)
        return next(basic.auth_flow(request)) if same else request

    return sign


class HttpApi:
    """The API of the devpi-server at `url`, as root or another user when a password is given."""

    def __init__(self, url: str, password: str | None = None, user: str = "root") -> None:
        self._url = url
        self._client = client(url=url, auth=None if password is None else (user, password))
        self._client.headers["Accept"] = "application/json"

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 (JSON)
        status, answer = self._send(method, path, body)
        if status >= 400:
            reason = answer.get("message", "no reason given")
            raise RefusedError(
                f"{method} {self._url}{path}: the mirror answered {status}: {reason}",
                "`mirror status` lists the indexes; an index's page of a project lists its releases."
                if status == 404
                else "Run `mirror status`; the server's log tells more.",
                status,
                reason,
            )
        return answer.get("result")

    def accepts(self, user: str, password: str) -> bool:
        return self._send("POST", "/+login", {"user": user, "password": password})[0] == 200

    def _send(self, method: str, path: str, body: object) -> tuple[int, dict[str, Any]]:
        import httpx

        try:
            response = self._client.request(method, f"{self._url}{path}", json=body)
        except httpx.HTTPError as error:
            raise PackhorseError(
                f"No answer from the mirror at {self._url}: {error}",
                "Run `mirror status`; start it with `mirror serve`.",
            ) from error
        return response.status_code, _json(response)


def _json(response: "httpx.Response") -> dict[str, Any]:
    if not response.headers.get("content-type", "").startswith("application/json"):
        return {"message": response.reason_phrase}
    data = response.json()
    return data if isinstance(data, dict) else {}
