"""The configuration for nginx as text, and who may look into the mirror's folder."""

import re
from pathlib import Path

import pytest

from mirror.config import Front, Index, MirrorConfig
from mirror.monitoring.settings import Metrics
from mirror.serving import front
from mirror.state import Folder
from packhorse import settings
from packhorse.errors import PackhorseError

FOLDER = Folder(Path("/srv/packhorse"))
PIP = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"
UV = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01"


def form(request: str) -> str:
    """What nginx's map makes of "METHOD ARGS ACCEPT"."""
    block = re.search(r"\$packhorse_form \{(.*?)\n\}", front.text(MirrorConfig(), FOLDER), re.DOTALL)
    assert block
    rules = re.findall(r'"~(.*)" (\w+);', block[1])
    return next((value for pattern, value in rules if re.search(pattern, request)), "none")


@pytest.mark.parametrize("accept", [PIP, UV])
def test_installers_get_json_from_disk(accept: str) -> None:
    """They are nearly all of the traffic."""
    assert form(f"GET  {accept}") == "json"
    assert form(f"HEAD  {accept}") == "json"


@pytest.mark.parametrize(
    "request_line",
    [
        "POST  text/html",
        "GET format=application/vnd.pypi.simple.v1+html text/html",
        "GET  text/html;q=0.1, application/vnd.pypi.simple.v1+json",
        "GET  application/vnd.pypi.simple.v1+json, text/html",
        "GET  application/vnd.pypi.simple.v1+json;q=0.3",
        "GET  */*",
        "GET  ",
    ],
)
def test_a_request_that_needs_the_rules_of_pep_691_goes_to_devpi(request_line: str) -> None:
    """nginx must not guess: a wrong form is a broken install."""
    assert form(request_line) == "none"


def test_without_a_certificate_there_is_no_tls_and_with_one_there_is() -> None:
    """`listen` alone decides about the port."""
    assert "ssl" not in front.text(MirrorConfig(), FOLDER)
    secured = Front(listen="443", tls_certificate="/etc/ssl/a.pem", tls_key="/etc/ssl/a.key")
    written = front.text(MirrorConfig(front=secured), FOLDER)
    assert "listen 443 ssl;" in written
    assert 'ssl_certificate_key "/etc/ssl/a.key";' in written


def test_half_a_certificate_is_refused() -> None:
    """nginx would answer without TLS, or not at all."""
    with pytest.raises(PackhorseError, match=r"front: .*tls_certificate and tls_key belong together"):
        settings.parse(MirrorConfig, {"front": {"tls_key": "/etc/ssl/a.key"}}, "mirror.toml")


@pytest.mark.parametrize("value", ["80; return 200", 'x"', "80 {", "80\n}", "$host", "80\\"])
@pytest.mark.parametrize("key", ["host", "outside_url", "front.listen", "front.server_name", "front.tls_key"])
def test_nothing_in_the_settings_can_add_a_directive(key: str, value: str) -> None:
    """mirror.toml may come from a template that somebody else fills."""
    text = f"https://{value}" if key == "outside_url" else f"/{value}" if key == "front.tls_key" else value
    table, _, name = key.rpartition(".")
    with pytest.raises(PackhorseError, match=key.replace(".", r"\.")):
        settings.parse(MirrorConfig, {table: {name: text}} if table else {name: text}, "mirror.toml")


@pytest.mark.parametrize("name", ['a"b', "a$b", "a\\b", "a\nb"])
def test_a_folder_that_nginx_would_read_as_something_else_is_refused(name: str) -> None:
    """Its path is in the configuration, between quotes."""
    with pytest.raises(PackhorseError, match="nginx cannot serve from"):
        front.text(MirrorConfig(), Folder(Path("/srv", name)))


def test_metrics_pass_only_when_the_settings_name_a_reader() -> None:
    """nginx connects from the machine itself, which may read them by default."""
    blocked = "location = /+metrics {\n        return 404;"
    assert blocked in front.text(MirrorConfig(), FOLDER)
    for metrics in (Metrics(allow=("192.0.2.0/24",)), Metrics(token_file="/etc/token")):
        assert blocked not in front.text(MirrorConfig(metrics=metrics), FOLDER)


def test_every_placeholder_is_filled() -> None:
    """A forgotten one would be found by nginx, on the user's machine."""
    assert not re.search(r"@[A-Z_]+@", front.text(MirrorConfig(), FOLDER))


def test_a_folder_that_others_cannot_pass_is_named(tmp_path: Path) -> None:
    """nginx's workers run as another user; without the hint all requests would quietly go to devpi."""
    closed = tmp_path / "closed"
    (closed / "below").mkdir(parents=True)
    closed.chmod(0o700)
    assert closed in front.closed_to_others(closed / "below")
    closed.chmod(0o711)
    assert closed not in front.closed_to_others(closed / "below")


@pytest.mark.parametrize("listen", ["80", "0.0.0.0:8080", "[::]:80", "packages.example.com:80"])
def test_an_address_for_others_needs_a_certificate(tmp_path: Path, listen: str) -> None:
    """Passwords of uploads go through nginx."""
    folder = Folder(tmp_path)
    folder.server.mkdir(parents=True)
    with pytest.raises(PackhorseError, match=r"front\.listen: .*clear text"):
        list(front.write(MirrorConfig(front=Front(listen=listen)), folder, tmp_path / "conf"))


def test_the_url_of_the_server_is_not_what_a_client_states_as_its_host() -> None:
    """Where a name is set, devpi's answers have it."""
    named = MirrorConfig(front=Front(server_name="packages.example.com"))
    assert 'X-Outside-URL "$scheme://$server_name:$server_port"' in front.text(named, FOLDER)
    assert "$http_host" not in front.text(named, FOLDER).partition("X-Outside-URL")[2]


def test_protected_indexes_add_locations_and_nothing_else_does() -> None:
    """Without readers nobody needs a folder for logins."""
    closed = MirrorConfig(indexes={"company/prod": Index(read=("anna",))})
    shown = front.text(closed, FOLDER)
    assert shown.count("auth_request /.granted;") == 3
    assert 'proxy_cache_path "/run/packhorse-logins"' in shown
    assert "@" not in re.sub(r"@(devpi|stale|busy|down|granted_\w+)\b", "", shown)
    assert "granted" not in front.text(MirrorConfig(), FOLDER)
