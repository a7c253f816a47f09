"""The vhost of role nginx, for every kind of target: a real nginx takes each as it is."""

import contextlib
import http.client
import importlib.util
import itertools
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import jinja2
import pytest

from release.config.static import Static
from tests.support.servers import free_port, run_command, wait_until

pytestmark = pytest.mark.needs("nginx", "openssl")

ROLES = Path(__file__).parents[3] / "ansible/roles"
OTHERS = ["10.0.0.1", "fd00::1"]
BEHIND = [{"name": "web1", "address": "10.0.0.1"}, {"name": "web2", "address": "[fd00::1]"}]
PLACES: dict[str, dict[str, object]] = {  # who is in front, and who behind
    "alone": {"nginx_hosts": [], "nginx_balancers": []},
    "balancer": {"nginx_hosts": BEHIND, "nginx_balancers": []},
    "behind": {"nginx_hosts": [], "nginx_balancers": ["10.0.0.9", "fd00::9"]},
}


@pytest.fixture(scope="module")
def acme() -> ModuleType:
    spec = importlib.util.spec_from_file_location("acme", ROLES / "acme/files/packhorse_acme.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def render(name: str, variables: dict[str, Any]) -> str:
    """A template of role nginx, as Ansible renders it."""
    environment = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True, autoescape=False)  # noqa: S701
    environment.tests["version"] = lambda found, other, _: int(found[2:4]) >= int(other[2:4])
    return environment.from_string((ROLES / "nginx/templates" / name).read_text()).render(variables)


def here(text: str, folder: Path) -> str:
    """The same for files below `folder`, and for ports that others may listen on."""
    moved = text.replace("/etc/nginx/packhorse", str(folder)).replace("/var/log/nginx/packhorse", str(folder))
    return re.sub(r"(listen (\[::\]:)?)(80|443)", r"\g<1>10\3", moved)


def make(folder: Path, variables: dict[str, Any]) -> None:
    """What the vhosts of `folder` need besides."""
    files = ROLES / "nginx/files"
    (folder / "static.settings").write_text((files / "static.settings").read_text())
    (folder / "tls.settings").write_text(here(render("tls.settings.j2", variables), folder))
    (folder / "http").write_text(here((files / "packhorse.conf").read_text(), folder))
    (folder / "nginx").write_text(
        f"pid {folder}/pid;\nerror_log {folder}/log;\nevents {{}}\n"
        f"http {{\n{(files / 'packhorse-log.conf').read_text()}\ninclude {folder}/http;\n}}\n"
    )
    own = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    places = ("-subj", "/CN=x", "-keyout", folder / "key.pem", "-out", folder / "fullchain.pem")
    run_command(*own, *places, env={"PATH": "/usr/bin"})


@pytest.mark.parametrize("place", PLACES)
def test_nginx_takes_every_vhost(acme: ModuleType, tmp_path: Path, place: str) -> None:
    """With and without TLS of its own or by ACME, other hosts, HSTS, and an earlier certificate."""
    base = {
        **PLACES[place],
        "packhorse_app": "shop",
        "packhorse_domains": ["shop.example.com"],
        "packhorse_max_body": "1m",
        "packhorse_static": {"/media/": "/srv/static"},
        "packhorse_application_static": {"url": "/static/", "hashed": Static(folder="s").hashed_pattern},
        "packhorse_tls_certificate_key": str(tmp_path / "key.pem"),
        "nginx_names": ["shop.example.com"],
        "nginx_url": "",
        "nginx_acme": "/var/lib/packhorse-acme",
        "nginx_has_certificate": True,
        "nginx_version": "1.22.1",
        "nginx_ciphers": ["ECDHE-ECDSA-AES128-GCM-SHA256"],
    }
    make(tmp_path, base)
    certificate = str(tmp_path / "fullchain.pem")
    choices: tuple[tuple[Any, ...], ...]
    choices = ({}, {"directory": "x"}), ([], OTHERS), (None, certificate), (None, 7), (None, "acme", "own")
    for by_acme, others, own, hsts, included in itertools.product(*choices):
        variables = {
            **base,
            "packhorse_acme": by_acme,
            "packhorse_acme_others": others,
            "packhorse_tls_certificate": own,
            "packhorse_hsts": hsts,
        }
        earlier = acme.Certificate(tmp_path, frozenset(), 0, 0)
        texts = {
            None: "",
            "acme": acme.snippet(earlier, ["shop.example.com"]),
            "own": render("own.tls.j2", {**variables, "packhorse_tls_certificate": certificate}),
        }
        (tmp_path / "shop.tls").write_text(here(texts[included], tmp_path))
        if included is None:
            (tmp_path / "shop.tls").unlink()
        (tmp_path / "shop.conf").write_text(here(render("vhost.conf.j2", variables), tmp_path))
        (tmp_path / "shop.upstream.conf").write_text(render("upstream.conf.j2", variables))
        said = run_command("nginx", "-t", "-c", tmp_path / "nginx", env={"PATH": "/usr/sbin:/usr/bin"}).stderr
        assert "[warn]" not in said, (variables, included)


class _Echo(BaseHTTPRequestHandler):
    """An application that shows the headers it gets."""

    def do_GET(self) -> None:  # named by http.server
        body = str(self.headers).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Nothing."""


@contextlib.contextmanager
def balancer(folder: Path) -> Iterator[int]:
    """The port of a balancer for two domains, which leads to an `_Echo`."""
    port, echo = free_port(), HTTPServer(("127.0.0.1", 0), _Echo)
    base: dict[str, Any] = {
        "nginx_hosts": [{"name": "web1", "address": "127.0.0.1"}],
        "nginx_balancers": [],
        "packhorse_app": "shop",
        "packhorse_domains": ["shop.example.com", "*.shops.example.com"],
        "packhorse_max_body": "1m",
        "packhorse_static": {},
        "packhorse_tls_certificate": None,
        "packhorse_tls_certificate_key": None,
        "nginx_names": ["shop.example.com", "*.shops.example.com"],
        "nginx_url": "",
        "nginx_acme": "/var/lib/packhorse-acme",
        "nginx_has_certificate": True,
        "nginx_version": "1.22.1",
        "nginx_ciphers": ["ECDHE-ECDSA-AES128-GCM-SHA256"],
    }
    make(folder, base)
    vhost = here(render("vhost.conf.j2", base), folder).replace("listen 1080", f"listen 127.0.0.1:{port}")
    (folder / "shop.conf").write_text(vhost.replace("listen [::]:1080;", ""))
    upstream = render("upstream.conf.j2", base).replace("127.0.0.1:80", f"127.0.0.1:{echo.server_port}")
    (folder / "shop.upstream.conf").write_text(upstream)
    threading.Thread(target=echo.serve_forever, daemon=True).start()
    command = ["nginx", "-c", str(folder / "nginx"), "-g", "daemon off;"]
    with subprocess.Popen(command, env={"PATH": "/usr/sbin:/usr/bin"}) as nginx:
        try:
            yield port
        finally:
            nginx.terminate()
            echo.shutdown()
            echo.server_close()


def ask(port: int, host: str, **headers: str) -> tuple[int, str]:
    """Status and body of the answer to a GET for `host`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", "/", headers={"Host": host, **headers})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def test_a_balancer_passes_on_its_own_names_alone(tmp_path: Path) -> None:
    """Over TLS the first vhost gets all names, and a host behind it may serve others to it alone."""
    with balancer(tmp_path) as port:
        wait_until("nginx", (tmp_path / "pid").exists)
        for name in ("shop.example.com", "SHOP.example.com:8443", "a.shops.example.com"):
            assert ask(port, name)[0] == 200, name
        for name in ("internal.example.com", "shops.example.com", "xshop.example.com", "127.0.0.1"):
            assert ask(port, name)[0] == 421, name


def test_only_websockets_are_a_way_past_nginx(tmp_path: Path) -> None:
    """After an upgrade to h2c, say, each header that an application believes would be the client's own."""
    with balancer(tmp_path) as port:
        wait_until("nginx", (tmp_path / "pid").exists)
        upgraded = ask(port, "shop.example.com", Connection="Upgrade", Upgrade="WebSocket")[1]
        assert "Upgrade: websocket" in upgraded
        assert "Connection: upgrade" in upgraded
        for protocol in ("h2c", "websocket, h2c", "TLS/1.0"):
            plain = ask(port, "shop.example.com", Connection="Upgrade", Upgrade=protocol)[1]
            assert "Upgrade:" not in plain, protocol
            assert "Connection: upgrade" not in plain
