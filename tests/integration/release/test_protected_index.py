"""`release` and an index that not everybody may read: what reads it, by which login, and what sees that."""

import json
import os
import re
import shutil
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from packhorse.errors import PackhorseError
from release import index, reading
from release.config.release_toml import ReleaseConfig
from release.credentials import Credentials
from release.host.disk import file_cache
from release.host.processes import process_table
from release.provision import index_tokens, playbook
from tests.support import protected
from tests.support.dists import archive, record_of, wheel
from tests.support.local_target import Host, Index
from tests.support.mirror_and_upstream import mirror_of
from tests.support.protected import Protected
from tests.support.release_command import refused, release_json
from tests.support.servers import BIN, run_command
from tests.support.tiny_app import NAME, app_wheel
from tests.support.upstream import Upstream

TOKEN = re.compile(rb"devpi-[\w-]{60,}")
INDEX = "company/dev"
# Notes the environment that it got, which installers have, too; needs what is on the protected index.
BACKEND = """\
import os, pathlib, secretlib, zipfile
def note():
    pathlib.Path(os.environ["HOME"], "seen").write_text("\\n".join(map("=".join, os.environ.items())))
def build_sdist(folder, *_):
    import tarfile
    with tarfile.open(pathlib.Path(folder, "shop-1.0.tar.gz"), "w:gz", format=tarfile.PAX_FORMAT) as tar:
        for name in ("pyproject.toml", "Procfile", "PKG-INFO"):
            tar.add(name, f"shop-1.0/{name}")
    return "shop-1.0.tar.gz"
def build_wheel(folder, *_):
    note()
    lines = "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    with zipfile.ZipFile(pathlib.Path(folder, "shop-1.0-py3-none-any.whl"), "w") as made:
        made.writestr("shop.py", "")
        made.writestr("shop-1.0.dist-info/METADATA", pathlib.Path("PKG-INFO").read_text())
        made.writestr("shop-1.0.dist-info/WHEEL", lines)
        made.writestr("shop-1.0.dist-info/RECORD", "")
    return "shop-1.0-py3-none-any.whl"
"""
PROJECT = """\
[build-system]
requires = ["hidden-backend"]
build-backend = "hidden_backend"
[project]
name = "shop"
version = "1.0"
requires-python = ">=3.11"
dependencies = ["secretlib"]
"""


@pytest.fixture(scope="module")
def guarded() -> Iterator[Protected]:
    """company/dev inherits from company/prod, which anna may read; bert may not."""
    with Upstream() as upstream, mirror_of(upstream, protected.SETTINGS) as mirrored:
        yield protected.prepare(mirrored)


@pytest.fixture(scope="module")
def host(guarded: Protected) -> Iterator[Host]:
    """The local target, which takes versions of the application from there."""
    home = guarded.mirror.home
    made = Host(home, cast("Index", SimpleNamespace(index=f"{guarded.url}/{INDEX}")))
    (made.project / "pyproject.toml").write_text(f'[project]\nname = "{NAME}"\nversion = "0.1.0"\n')
    try:
        yield made
    finally:
        made.release("stop", "local", status=None)
        assert not process_table.find(made.layout)


@contextmanager
def watched(home: Path) -> Iterator[Callable[[], tuple[set[bytes], set[bytes]]]]:
    """Argument lists and environments of all processes that know `home`, until the block ends.

    Other tests have tokens, too, in the environments of their twine.
    """
    lines: set[bytes] = set()
    environments: set[bytes] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.02):
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    line, environment = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
                except OSError:  # it has ended meanwhile
                    continue
                if str(home).encode() in line + environment:
                    lines.add(line)
                    environments.add(environment)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield lambda: (lines, environments)
    finally:
        over.set()
        watcher.join()


def found_in(folder: Path, *secrets: bytes) -> list[Path]:
    """Files with a token for reading, or one of `secrets`."""
    known = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    contents = ((path, path.read_bytes()) for path in known)
    return [path for path, text in contents if TOKEN.search(text) or any(each in text for each in secrets)]


def test_a_version_is_uploaded_deployed_and_looked_at(guarded: Protected, host: Host) -> None:
    """By who has the password of this machine's mirror. It, and the token, are where nobody finds them."""
    password = guarded.mirror.credentials["company"].encode()
    dist = app_wheel("0.1.0")
    (host.project / dist.filename).write_bytes(dist.content)
    with watched(guarded.mirror.home) as seen:
        assert "uploaded" in host.release("upload", dist.filename).stdout
        said = [
            host.release(*arguments).stdout
            for arguments in (
                ("deploy", "local", "-vv"),
                ("pipeline", "--json"),
                ("deploy", "local", "--plan"),
                ("rollback", "local", "1"),
            )
        ]
        lines, environments = seen()
    assert host.get() == "0.1.0"
    assert json.loads(said[1])["indexes"][0]["version"] == "0.1.0"
    assert "index" in host.release("doctor", "local").stdout
    assert not [line for line in lines if TOKEN.search(line) or password in line]
    twine = [each for each in environments if TOKEN.search(each)]
    assert twine == []
    values = json.loads(host.get("/env"))
    assert not [name for name, value in values.items() if TOKEN.search(value.encode())]
    assert not [name for name in values if name.startswith(("RELEASE_INDEX", "UV_INDEX"))]
    assert found_in(host.layout.folder, password) == []
    assert not TOKEN.search("".join(said).encode())


def prepared(guarded: Protected, folder: Path) -> Path:
    """A project whose dependency and build backend are on the protected index alone."""
    plain = wheel("hidden-backend", "1.0", requires=["secretlib"])
    info = "hidden_backend-1.0.dist-info"
    members = {
        "hidden_backend.py": BACKEND.encode(),
        f"{info}/METADATA": plain.metadata,
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    members[f"{info}/RECORD"] = record_of(members, f"{info}/RECORD")
    path = guarded.mirror.home / plain.filename
    path.write_bytes(archive(members))
    guarded.mirrored.upload(path)
    folder.mkdir()
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: shop\nVersion: 1.0\n")
    (folder / "Procfile").write_text("web: python -m shop\n")
    return folder


def test_a_project_is_locked_and_built(guarded: Protected, tmp_path: Path) -> None:
    """By anna, on a machine of her own; uv and a stranger's build backend get a token for an hour."""
    project = prepared(guarded, tmp_path / "shop")
    name, password = guarded.anna
    home = tmp_path / "home"
    home.mkdir()
    environment = {
        "PACKHORSE_HOME": str(home),
        "HOME": str(home),
        "RELEASE_INDEX": f"{guarded.url}/{INDEX}",
        "UV_CACHE_DIR": str(tmp_path / "uv"),
    }
    anna = {"TWINE_USERNAME": name, "TWINE_PASSWORD": password}
    said = refused(guarded.mirror, project, "lock", **environment)
    assert "there is no login for it here" in said
    bert = {"TWINE_USERNAME": "bert", "TWINE_PASSWORD": guarded.bert[1]}
    assert "does not read it" in refused(guarded.mirror, project, "lock", **environment, **bert)
    with watched(home) as seen:
        everything = {**guarded.mirror.environment, **environment, **anna}
        run_command(BIN / "release", "lock", env=everything, cwd=project)
        release_json(guarded.mirror, project, "build", **environment, **anna)
        lines, environments = seen()
    lock = (project / "pylock.toml").read_text()
    assert 'name = "secretlib"' in lock
    assert "://" not in lock
    assert not [line for line in lines if TOKEN.search(line) or password.encode() in line]
    variables = [entry for each in environments for entry in each.split(b"\0") if TOKEN.search(entry)]
    assert {entry.partition(b"=")[0] for entry in variables} == {b"UV_INDEX_COMPANY_PASSWORD"}
    given = (home / "seen").read_text()
    assert TOKEN.search(given.encode())
    assert password not in given
    assert found_in(project, password.encode()) == []
    for path in (project / "dist").glob("*.whl"):
        with zipfile.ZipFile(path) as made:
            assert not any(TOKEN.search(made.read(each)) for each in made.namelist())


def test_a_job_reads_with_a_token_of_its_own(guarded: Protected) -> None:
    """$RELEASE_INDEX_TOKEN goes first; one of a project gets none."""
    url = f"{guarded.url}/{INDEX}"
    options = ("token", "create", "--index", INDEX)
    made = protected.mirror(guarded, *options, "--may", "read", "--user", "anna").strip()
    of_project = protected.mirror(guarded, *options, "--project", "secretlib").strip()
    for token, expected in ((made, True), (of_project, False)):
        login = Credentials("", token)
        reader = reading.Reader([url], lambda _, login=login: login, made={})  # type: ignore[misc]
        if expected:
            assert [file.filename for file in index.files(url, "secretlib", reader.get)]
            assert reader.token() not in {None, made}
        else:
            with pytest.raises(PackhorseError, match="reads less than an index"):
                reader.get(f"{url}/+simple/secretlib/", index.JSON)


# The step of `release provision` that installs from `index`, on this machine and below a folder of its own.
PLAY = """\
- hosts: all
  connection: local
  gather_subset: ["!all"]
  tasks:
    - ansible.builtin.import_role: {name: app_host, tasks_from: toolbox.yml}
"""


def test_hosts_are_provisioned_with_a_token(
    guarded: Protected, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip finds what is on the index. Ansible shows the token nowhere, also when pip then fails."""
    url = f"{guarded.url}/{INDEX}"
    shutil.copytree(playbook.HERE / "roles", tmp_path / "roles")
    pins = [f"{name}==1.0 --hash=sha256:{guarded.dist.sha256}" for name in ("secretlib", "nonesuch")]
    (tmp_path / "roles/app_host/files/toolbox.txt").write_text("\n".join(pins) + "\n")
    (tmp_path / "site.yml").write_text(PLAY)
    monkeypatch.setattr(playbook, "HERE", tmp_path)
    for name, value in (("TWINE_USERNAME", "anna"), ("TWINE_PASSWORD", guarded.anna[1])):
        monkeypatch.setenv(name, value)
    tokens = index_tokens.of(ReleaseConfig(app="shop", index=url), "web1.example.com", tmp_path)
    (tmp_path / "inventory.sh").write_text("web1.example.com\n")
    variables = {
        "packhorse_index_url": f"{url}/+simple/",
        "app_host_prefix": str(tmp_path / "opt"),
        "ansible_python_interpreter": sys.executable,
    }
    own = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **index_tokens.environment(tokens)}
    with watched(tmp_path) as seen:
        done = run_command(*playbook.command(variables, ["-vvv"]), env=own, status=2, timeout=600)
        lines, _ = seen()
    assert "No matching distribution found for nonesuch" in done.stdout
    assert "No matching distribution found for secretlib" not in done.stdout
    assert not [line for line in lines if TOKEN.search(line)]
    assert any(b"/dev/stdin" in line for line in lines)
    assert not TOKEN.search(f"{done.stdout}{done.stderr}".encode())
    assert found_in(tmp_path) == []


class Elsewhere(BaseHTTPRequestHandler):
    """Answers 401 to everything, redirects away from /company/, and notes who shows a login."""

    away = ""
    shown: list[tuple[str, Any]]

    def do_GET(self) -> None:
        self.shown.append((self.path, self.headers.get("Authorization")))
        leads = self.away and self.path.startswith("/company/dev/+f/")
        self.send_response(302 if leads else 401)
        if leads:
            self.send_header("Location", f"{self.away}{self.path}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_no_redirect_takes_a_token_to_another_port() -> None:
    """Of the developer's machine, and of a host; by real clients, as they follow redirects by themselves."""
    shown: list[tuple[str, Any]] = []
    other: list[tuple[str, Any]] = []
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), type("Other", (Elsewhere,), {"shown": other})) as away,
        ThreadingHTTPServer(
            ("127.0.0.1", 0),
            type("Own", (Elsewhere,), {"shown": shown, "away": f"http://127.0.0.1:{away.server_port}"}),
        ) as own,
    ):
        for server in (away, own):
            threading.Thread(target=server.serve_forever, daemon=True).start()
        root = f"http://127.0.0.1:{own.server_port}/company/dev"
        made = {root: reading.Token("devpi-secret")}
        reader = reading.Reader([root], lambda _: Credentials("anna", "password"), made=made)
        assert reader.get(f"{root}/+f/a.whl", "*/*").status == 401
        where = file_cache.Index(f"{root}/+simple/", "devpi-secret")
        with pytest.raises(OSError, match="401"):
            file_cache._open(f"{root}/+f/b.whl", where)
        for server in (away, own):
            server.shutdown()
    assert [path for path, _ in other] == ["/company/dev/+f/a.whl", "/company/dev/+f/b.whl"]
    assert {login for _, login in other} == {None}
    assert [bool(login) for _, login in shown] == [True, True]
