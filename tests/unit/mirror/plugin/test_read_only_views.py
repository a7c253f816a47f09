"""Methods that a view answers which names none."""

import pytest
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response

from mirror.plugin import read_only_views


@pytest.mark.parametrize(
    "method", ["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE", "PUSH", "FOO"]
)
def test_who_names_no_method_is_read(method: str) -> None:
    """On a view or on its route a method may be named; a name that is not there is 404 for all."""

    def view(_request: Request) -> Response:
        return Response("done")

    config = Configurator()
    read_only_views.install(config)
    for name, of_route, of_view in (
        ("any", {}, {}),
        ("route", {"request_method": method}, {}),
        ("view", {}, {"request_method": method}),
    ):
        config.add_route(name, f"/{name}", **of_route)
        config.add_view(view, route_name=name, **of_view)
    application = config.make_wsgi_app()

    def status(path: str) -> int:
        return int(Request.blank(path, method=method).get_response(application).status_code)

    reads = method in {"GET", "HEAD"}
    assert [status(f"/{name}") for name in ("any", "route", "view", "none")] == [
        200 if reads else 405,
        200,
        200,
        404,
    ]
