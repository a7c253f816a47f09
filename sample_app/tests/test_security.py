"""Proxies, https, and the headers of answers; static files with hashed names."""

from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request, url_for
from flask.testing import FlaskClient
from pydantic import ValidationError
from sample_app.config import Settings

from sample_app import assets, create_app

HTTP = "http://links.example.com"


def make(folder: Path, **settings: Any) -> Flask:  # noqa: ANN401
    """An application with a page that says how it sees its client."""
    app = create_app(Settings(environment="testing", data_dir=folder, **settings))
    app.add_url_rule("/seen", view_func=lambda: {"by": request.remote_addr, "secure": request.is_secure})
    return app


def test_no_page_runs_scripts_of_others_or_is_shown_in_a_frame(app: Flask) -> None:
    """Nor are inline scripts and styles run."""
    headers = app.test_client().get("/").headers
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "strict-origin-when-cross-origin"
    assert "Strict-Transport-Security" not in headers


@pytest.fixture
def secure(tmp_path: Path) -> FlaskClient:
    """A client of an application with HTTPS behind a proxy."""
    return make(tmp_path, https=True, proxies=1, public_url="https://links.example.com").test_client()


def test_https_is_insisted_on_and_remembered(secure: FlaskClient) -> None:
    """Where the application is at home, whatever name a client asks for."""
    answer = secure.get("/tags?a=b", base_url="http://evil.example.org")
    assert answer.status_code == 308
    assert answer.location == "https://links.example.com/tags?a=b"
    answer = secure.get("/auth/sign-in", base_url=HTTP, headers={"X-Forwarded-Proto": "https"})
    assert answer.status_code == 200
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert "Secure" in answer.headers["Set-Cookie"]


def test_supervisors_and_prometheus_ask_from_inside_without_tls(secure: FlaskClient) -> None:
    """On the host itself there is none."""
    assert secure.get("/healthz", base_url=HTTP).status_code == 200
    assert secure.get("/metrics", base_url=HTTP).status_code == 200


def test_the_api_refuses_plain_http(secure: FlaskClient) -> None:
    """After a redirect nobody would notice that the token is sent in clear each time."""
    answer = secure.get("/api/v2/links", base_url=HTTP, headers={"Authorization": "Bearer links_x"})
    assert (answer.status_code, answer.mimetype) == (403, "application/problem+json")
    assert "revoke" in answer.get_json()["detail"]


def test_https_needs_an_address_to_send_clients_to(tmp_path: Path) -> None:
    """The default is for development."""
    with pytest.raises(ValidationError, match="PUBLIC_URL: must begin"):
        make(tmp_path, https=True)


@pytest.mark.parametrize(("proxies", "by"), [(0, "127.0.0.1"), (1, "192.0.2.2"), (2, "192.0.2.1")])
def test_only_as_many_proxies_are_believed_as_there_are(tmp_path: Path, proxies: int, by: str) -> None:
    """What a client writes itself stands before what proxies add."""
    client = make(tmp_path, proxies=proxies).test_client()
    headers = {
        "X-Forwarded-For": "203.0.113.9, 192.0.2.1, 192.0.2.2",
        "X-Forwarded-Host": "evil.example.org",
        "X-Forwarded-Proto": "https, https, http",
    }
    assert client.get("/seen", headers=headers).json == {"by": by, "secure": proxies == 2}
    assert "evil" not in client.get("/links/new", headers=headers).location


def test_static_files_have_hashed_names_where_a_build_made_them(tmp_path: Path) -> None:
    """Else their own, as in a checkout."""
    app = make(tmp_path)
    app.static_names = {"style.css": "style.0123456789ab.css"}  # type: ignore[attr-defined]
    with app.test_request_context():
        assert url_for("static", filename="style.css") == "/static/style.0123456789ab.css"
        assert url_for("static", filename="other.css") == "/static/other.css"


def test_a_cdn_may_serve_them(tmp_path: Path) -> None:
    """The policy allows this folder of it, and nothing else."""
    app = make(tmp_path, static_url="https://cdn.example.com/links/")
    with app.test_request_context():
        assert url_for("static", filename="other.css") == "https://cdn.example.com/links/other.css"
    policy = app.test_client().get("/nothing").headers["Content-Security-Policy"]
    assert "script-src 'self' https://cdn.example.com/links/;" in policy


def test_only_hashed_names_are_kept_for_ever(tmp_path: Path) -> None:
    """What they name never changes."""
    assert assets.is_hashed("", "/static/style.0123456789ab.css")
    assert not assets.is_hashed("", "/static/style.css")
    with make(tmp_path).test_client().get("/static/favicon.svg") as answer:
        assert answer.data
        assert answer.headers["Cache-Control"] == "max-age=60, public"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.mimetype == "image/svg+xml"
