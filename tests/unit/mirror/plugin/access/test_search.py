"""Who may search in all indexes, in an application that has a view as devpi-web's."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from devpi_tokens.server import TokenIdentity
from pyramid.config import Configurator
from pyramid.registry import Registry
from pyramid.response import Response
from webob import Request

from mirror.plugin.access import readers, search

READERS = {"company/prod": ["anna", "carl"], "company/dev": ["carl"]}


class _Policy:
    """Takes the user from a header."""

    def identity(self, request: Any) -> Any:  # noqa: ANN401 (devpi is untyped)
        who = request.headers.get("User")
        if who == "token of carl":
            token = TokenIdentity.__new__(TokenIdentity)
            token.username, token.groups = "carl", []
            return token
        return SimpleNamespace(username=who, groups=[]) if who else None

    def forget(self, _request: Any) -> list[tuple[str, str]]:  # noqa: ANN401 (devpi is untyped)
        return [("WWW-Authenticate", "Basic")]


def _search(given: readers.Readers, who: str | None) -> Response:
    """An answer of devpi-web's search, which knows nothing of readers."""
    key = SimpleNamespace(get=lambda: {"readers": json.dumps(given)})
    config = Configurator(registry=Registry())
    config.setup_registry()
    config.set_security_policy(_Policy())
    config.registry["xom"] = SimpleNamespace(keyfs=SimpleNamespace(get_key=lambda _: key))
    config.add_route("search", "/+search")
    config.add_view(lambda _: Response("secretlib"), route_name="search")
    search.install(config)
    request = Request.blank("/+search", headers={"User": who} if who else {})
    answer: Response = request.get_response(config.make_wsgi_app())
    return answer


@pytest.mark.parametrize(
    ("who", "status"),
    [(None, 401), ("bert", 403), ("anna", 403), ("token of carl", 403), ("carl", 200), ("root", 200)],
)
def test_only_who_may_read_all_indexes_searches_them(who: str | None, status: int) -> None:
    """devpi-web names projects of all in one answer, and counts them. A token is for an index, or some."""
    answer = _search(READERS, who)
    assert answer.status_code == status
    assert ("secretlib" in answer.text) == (status == 200)
    assert answer.headers["Cache-Control"].startswith("private")
    assert (answer.headers.get("WWW-Authenticate") == "Basic") == (status == 401)


def test_everybody_searches_where_no_index_is_protected() -> None:
    """As devpi-web has it."""
    assert _search({}, None).status_code == 200
