"""`release doctor`: what it finds with a real index, real certificates, a real project."""

import datetime as dt
import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from release.host.commands.inspect.doctor import FAILED, OK, WARNING
from release.host.system import certificate
from tests.support.local_target import Host, running_host
from tests.support.tiny_app import NAME


@pytest.fixture
def host(home: Path) -> Iterator[Host]:
    with running_host(home) as running:
        yield running


def checks(host: Host, *arguments: str, status: int = 0) -> dict[str, str]:
    """Check -> state, as scripts see them."""
    done = host.release("doctor", *arguments, "--json", status=status)
    return {check["check"]: check["state"] for check in json.loads(done.stdout)["checks"]}


def test_a_target_is_examined_before_and_after_its_first_deploy(host: Host) -> None:
    """With a line for each check, and what to do."""
    (host.project / "pyproject.toml").write_text(f'[project]\nname = "{NAME}"\nversion = "1"\n')
    before = {"reached": OK, "clock": OK, "supervisor": OK, "application": WARNING, "disk": OK, "index": OK}
    assert checks(host, "local") == before
    host.deploy("0.1.0")
    assert set(checks(host, "local").values()) == {OK}
    host.release("stop", "local")
    said = host.release("doctor", "local").stdout
    assert "application  warning  tiny 0.1.0 (release 1) is stopped → release start" in said


def test_an_index_that_is_not_reached_from_there_fails(host: Host) -> None:
    """The next deploy would fail in the middle."""
    with host.served.refusing():
        assert checks(host, "local", status=1)["index"] == FAILED


def test_a_project_is_examined(host: Host) -> None:
    """What a build, an upload or a deploy would stumble over, at once and not one after the other."""
    assert checks(host, status=1)["pyproject.toml"] == FAILED
    (host.project / "pyproject.toml").write_text(f'[project]\nname = "{NAME}"\nversion = "1"\n')
    assert checks(host)["Procfile"] == OK  # a library
    (host.project / "Procfile").write_text("web: python -m tiny\n")
    found = checks(host)
    assert [found[name] for name in ("settings", "pyproject.toml", "Procfile", "index")] == [OK] * 4
    assert [found[name] for name in ("login", "lock", "git", "wheel")] == [WARNING] * 4
    (host.project / "release.toml").write_text("nonsense\n")
    assert checks(host, status=1) == {"settings": FAILED}


class Quiet(BaseHTTPRequestHandler):
    """Answers nothing: the handshake is all that is asked for."""

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving_tls(folder: Path, days: int) -> Iterator[tuple[str, int]]:
    """A server whose certificate, signed by nobody else, ends in `days`."""
    key, pem = folder / "key.pem", folder / "cert.pem"
    now = dt.datetime.now(dt.UTC)
    span = [(now + dt.timedelta(days=day)).strftime("%Y%m%d%H%M%SZ") for day in (-100, days)]
    made = ("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    request = folder / "request.pem"
    subprocess.run(
        [*made, "-subj", "/CN=shop", "-keyout", key, "-out", request], check=True, capture_output=True
    )
    (folder / "index.txt").touch()
    (folder / "ca.cnf").write_text(
        f"[ca]\ndefault_ca = it\n[it]\ndatabase = {folder}/index.txt\nnew_certs_dir = {folder}\n"
        "default_md = sha256\npolicy = any\nrand_serial = yes\nx509_extensions = names\n"
        "[any]\ncommonName = supplied\n[names]\nsubjectAltName = DNS:shop.example.com\n"
    )
    sign: list[str | Path] = [
        "openssl",
        "ca",
        "-batch",
        "-selfsign",
        "-config",
        folder / "ca.cnf",
        "-keyfile",
        key,
        "-in",
        request,
    ]
    dates = ["-startdate", span[0], "-enddate", span[1]]
    subprocess.run([*sign, *dates, "-out", pem, "-notext"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield "127.0.0.1", server.server_port
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.needs("openssl")
@pytest.mark.parametrize(("days", "state"), [(90, OK), (5, WARNING), (-2, FAILED)])
def test_the_days_of_a_certificate_are_counted_whoever_signed_it(
    tmp_path: Path, days: int, state: str
) -> None:
    """A host need not know the authority that all clients know."""
    with serving_tls(tmp_path, days) as address:
        found = certificate.served(["shop.example.com"], address)
    assert found.state == state, found


def test_a_port_without_tls_is_no_certificate() -> None:
    """nginx is down, or somebody else listens there."""
    assert certificate.served(["shop.example.com"], ("127.0.0.1", 1)).state == FAILED
