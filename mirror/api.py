"""JSON calls to a running devpi, with what went wrong put into words."""

from typing import Any, Protocol

from packhorse.errors import PackhorseError


class Api(Protocol):
    """The calls that we need. Tests pass a fake of their own."""

    def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 (JSON)
        """The `result` of devpi's answer. Raises PackhorseError."""

    def accepts(self, user: str, password: str) -> bool:
        """Whether the server lets `user` in with `password`."""


class HttpApi:
    """A devpi at `url`, spoken to as root when a password is given."""

    def __init__(self, url: str, password: str | None = None) -> None:
        import requests

        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy and no netrc between us and our own server
        self._session.headers["Accept"] = "application/json"
        if password is not None:
            self._session.auth = ("root", password)

    def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 (JSON)
        status, answer = self._send(method, path, body)
        if status >= 400:
            reason = answer.get("message", "no reason given")
            raise PackhorseError(
                f"{method} {self._url}{path}: the mirror answered {status}: {reason}",
                "Run `mirror status`; the server's log tells more.",
            )
        return answer.get("result")

    def accepts(self, user: str, password: str) -> bool:
        return self._send("POST", "/+login", {"user": user, "password": password})[0] == 200

    def _send(self, method: str, path: str, body: object) -> tuple[int, dict[str, Any]]:
        import requests

        try:
            answer = self._session.request(method, f"{self._url}{path}", json=body, timeout=60)
        except requests.RequestException as error:
            raise PackhorseError(
                f"No answer from the mirror at {self._url}: {error}",
                "Run `mirror status`; start it with `mirror serve`.",
            ) from error
        return answer.status_code, _json(answer)


def _json(answer: Any) -> dict[str, Any]:  # noqa: ANN401 (requests is imported where it is needed)
    if not answer.headers.get("content-type", "").startswith("application/json"):
        return {"message": answer.reason}
    data = answer.json()
    return data if isinstance(data, dict) else {}
