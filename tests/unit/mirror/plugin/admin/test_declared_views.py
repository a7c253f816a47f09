"""What root declares of mirror.toml: shown as it was put, and nothing of what is refused."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from pyramid.config import Configurator
from pyramid.registry import Registry
from webob import Request

from mirror.plugin import reservations
from mirror.plugin.access import root_tokens
from mirror.plugin.admin import declared_views

JOB = {
    "index": "company/prod",
    "projects": ["demo"],
    "issuer": "https://ci.example.com",
    "claims": {"sub": "1"},
}


class _Policy:
    """Takes the user from a header."""

    def identity(self, request: Any) -> Any:  # noqa: ANN401 (devpi is untyped)
        return SimpleNamespace(username=request.headers.get("User"))

    def authenticated_userid(self, request: Any) -> Any:  # noqa: ANN401 (devpi is untyped)
        return request.headers.get("User")


class _KeyFs:
    """Keys with values in memory."""

    def __init__(self) -> None:
        self.stored: dict[str, Any] = {}

    @contextmanager
    def read_transaction(self, **_: object) -> Iterator[None]:
        yield

    def get_key(self, name: str) -> Any:  # noqa: ANN401 (devpi is untyped)
        stored = self.stored
        return SimpleNamespace(
            get=lambda: stored.get(name, {}), set=lambda value: stored.update({name: value})
        )


class _Server:
    """The views alone."""

    def __init__(self) -> None:
        config = Configurator(registry=Registry())
        config.setup_registry()
        config.set_security_policy(_Policy())
        config.registry["xom"] = SimpleNamespace(
            keyfs=_KeyFs(), model=SimpleNamespace(get_user=lambda name: name)
        )
        declared_views.install(config)
        self._app = config.make_wsgi_app()

    def ask(self, path: str, body: object = None, *, user: str = "root") -> tuple[int, Any]:
        request = Request.blank(path, headers={"User": user, "Accept": "application/json"})
        if body is not None:
            request.method, request.body = "PUT", json.dumps(body).encode()
        answer = request.get_response(self._app)
        return answer.status_code, answer.json


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> _Server:
    monkeypatch.setattr(reservations, "records", lambda _: {"ours": {}})
    return _Server()


@pytest.mark.parametrize(
    ("path", "settings"),
    [
        ("/+policies", {"": {"deny": ["evil-*"]}}),
        ("/+publishers", {"audience": "p.example.com", "publishers": [JOB]}),
        ("/+readers", {"company/prod": ["anna"]}),
    ],
)
def test_root_sees_what_was_declared_and_nobody_else_does(
    server: _Server, path: str, settings: dict[str, Any]
) -> None:
    """`mirror init` compares it with mirror.toml; who else may read, and which jobs upload, tells much."""
    assert server.ask(path, settings)[0] == 200
    status, body = server.ask(path)
    shown = body["result"]["settings"] if path == "/+policies" else body["result"]
    assert (status, body["type"], shown) == (200, path[2:], settings)
    assert server.ask(path, user="anna")[0] == server.ask(path, {}, user="anna")[0] == 403
    assert server.ask(path)[1] == body


def test_policies_are_shown_in_words_with_reserved_names(server: _Server) -> None:
    """`mirror policy` prints them as the server has them."""
    server.ask("/+policies", {"company/prod": {"deny": ["evil-*"]}})
    result = server.ask("/+policies")[1]["result"]
    assert [(rule["index"], rule["rule"]) for rule in result["rules"]] == [("company/prod", "deny")]
    assert result["reserved"] == ["ours"]


@pytest.mark.parametrize(
    ("path", "wrong", "words"),
    [
        ("/+policies", {"": []}, "policies are tables"),
        ("/+policies", {"": {"denied": ["x"]}}, "denied"),
        ("/+publishers", {"publishers": [{"index": "company/prod"}]}, "publishers are tables"),
        ("/+publishers", {"publishers": [{**JOB, "keys": {"keys": "none"}}]}, ""),
        ("/+readers", {"company/prod": "anna"}, "readers are lists"),
        ("/+readers", {"company/prod": [""]}, "readers are lists"),
    ],
)
def test_what_cannot_be_in_force_is_refused(server: _Server, path: str, wrong: object, words: str) -> None:
    """What was in force stays so."""
    before = server.ask(path)
    status, body = server.ask(path, wrong)
    assert (status, words in body["message"]) == (400, True)
    assert server.ask(path) == before


def test_tokens_of_an_owner_without_publishers_end(server: _Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of jobs hang on one token of the owner of the index."""
    ended: list[tuple[str, root_tokens.Purpose]] = []
    monkeypatch.setattr(root_tokens, "forget", lambda user, purpose: ended.append((user, purpose)))
    server.ask("/+publishers", {"publishers": [JOB, {**JOB, "index": "team/prod"}]})
    server.ask("/+publishers", {"publishers": [JOB]})
    assert ended == [("team", root_tokens.PUBLISHING)]
