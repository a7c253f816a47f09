"""`mirror advisories` and `mirror audit`: docs/advisories.md, on an index and from an address."""

import http.server
import json
import shutil
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import requests

from tests.support import documents
from tests.support.dists import wheel
from tests.support.mirror_and_upstream import Mirrored, new_name
from tests.support.servers import BIN

RECORD = {
    "id": "GHSA-462w-v97r-4m45",
    "modified": "2026-01-01T00:00:00Z",
    "aliases": ["CVE-2019-10906"],
    "summary": "str.format_map allows a sandbox escape\x1b[2J",
    "severity": [{"type": "CVSS_V3", "score": "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:N/A:N"}],
}


def write_export(path: Path, *projects: str) -> None:
    """Write an all.zip that says that versions before 2.10.1 of these projects are affected."""
    events = [{"introduced": "0"}, {"fixed": "2.10.1"}]
    affected = [
        {"package": {"ecosystem": "PyPI", "name": name}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
        for name in projects
    ]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("GHSA-462w-v97r-4m45.json", json.dumps({**RECORD, "affected": affected}))


@pytest.fixture
def files(tmp_path: Path) -> Iterator[str]:
    """The address of a web server of the files in `tmp_path`."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            if self.path == "/away":
                self.send_response(302)
                self.send_header("Location", "http://files.example.com/all.zip")
                self.end_headers()
            else:
                super().do_GET()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_page_about_known_vulnerabilities_does_what_it_says(mirrored: Mirrored, tmp_path: Path) -> None:
    """docs/advisories.md, its commands and its settings, in their order."""
    own, cached = new_name("audited"), new_name("audited")
    write_export(tmp_path / "all.zip", "jinja2", own, cached)
    shutil.copy(documents.CHECKOUT / "sample_app" / "pylock.toml", tmp_path)
    (tmp_path / "requirements.txt").write_text("jinja2==2.10\n")
    settings = (mirrored.mirror.home / "mirror.toml").read_text()
    for block in documents.blocks("advisories.md"):
        if block.language == "toml":
            (tmp_path / "mirror.toml").write_text(f"{settings}\n{block.text}")
        else:
            mirrored.mirror.run("sh", "-ec", documents.script(block.text), cwd=tmp_path)
    ignored = mirrored.mirror.run(BIN / "mirror", "audit", "requirements.txt", cwd=tmp_path)
    assert ignored.stdout == "none of 1 packages is affected; 1 ignored\n"
    (tmp_path / "mirror.toml").unlink()

    def audit(*arguments: str, status: int = 1) -> str:
        return mirrored.mirror.run(BIN / "mirror", "audit", *arguments, cwd=tmp_path, status=status).stdout

    assert audit("requirements.txt").startswith("jinja2 2.10: high 8.6, fixed in 2.10.1\n    GHSA-462w")
    assert "escape\\x1b[2J" in audit("requirements.txt")  # a terminal would obey it
    (tmp_path / wheel(own, "1.0").filename).write_bytes(wheel(own, "1.0").content)
    mirrored.upload(tmp_path / wheel(own, "1.0").filename, "company/prod")
    (url,) = mirrored.publish(wheel(cached, "1.0"))
    requests.get(url, timeout=30).raise_for_status()
    found = json.loads(audit("company/prod", "--json"))
    assert own in {each["name"] for each in found["affected"]}
    assert cached not in {each["name"] for each in found["affected"]}
    assert f"{cached} 1.0: high" in audit("company/prod", "--cached")
    assert f"{cached} 1.0: high" in audit("root/pypi")


def test_an_export_comes_from_an_address_only_when_nobody_on_the_way_can_change_it(
    mirrored: Mirrored, tmp_path: Path, files: str
) -> None:
    """Also after a redirect; an error page is no export, and the old file stays."""
    write_export(tmp_path / "all.zip", "jinja2")

    def update(url: str, status: int = 1) -> str:
        done = mirrored.mirror.run(BIN / "mirror", "advisories", "update", url, status=status)
        return done.stdout + done.stderr

    assert "1 advisories about 1 projects" in update(f"{files}/all.zip", 0)
    assert "over plain HTTP" in update(f"{files}/away")
    assert "over plain HTTP" in update("http://files.example.com/all.zip")
    assert "answered 404" in update(f"{files}/none.zip")
    for address in ("https://me:s3cret@files.example.com/all.zip", f"{files}/none.zip?signature=s3cret"):
        assert "s3cret" not in update(address)
    (tmp_path / "page.zip").write_text("<html>")
    assert "no zip archive" in update(f"{files}/page.zip")
    status = mirrored.mirror.run(BIN / "mirror", "advisories", "status", "--json")
    assert json.loads(status.stdout)["advisories"] == 1
