"""`release upload` with a real twine to a real mirror, and what installers get from there."""

import contextlib
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from release import index
from tests.support import file_keyring, sample_projects
from tests.support.release_command import install, refused, release_json
from tests.support.servers import BIN, Mirror


@pytest.fixture(scope="module")
def project(mirror_server: Mirror, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that was built and uploaded once, by nobody but `release`."""
    folder = sample_projects.repository(
        tmp_path_factory.mktemp("up") / "app", sample_projects.src, "upload-me"
    )
    release_json(mirror_server, folder, "build")
    done = release_json(mirror_server, folder, "upload")
    assert [item["new"] for item in done["artifacts"]] == [True, True]
    return folder


def test_the_index_has_the_very_bytes_that_were_built(project: Path, mirror_server: Mirror) -> None:
    """Read back from the index itself, not from what twine said."""
    url = f"{mirror_server.url}/company/dev"
    there = {file.filename: file for file in index.files(url, "upload-me", index.get)}
    for path in project.joinpath("dist").iterdir():
        assert requests.get(there[path.name].url, timeout=10).content == path.read_bytes()
        assert there[path.name].own


def test_a_second_upload_of_the_same_bytes_says_so_and_succeeds(project: Path, mirror_server: Mirror) -> None:
    """A pipeline may run twice; no password is needed to find out."""
    done = mirror_server.run(BIN / "release", "upload", cwd=project)
    assert done.stdout.count("was there already, with the same bytes") == 2
    assert "Warning" not in done.stderr


def test_an_upload_without_a_build_of_what_is_here_says_so(
    project: Path, mirror_server: Mirror, tmp_path: Path
) -> None:
    """Where a build computes the version, nothing else tells that the last one is an earlier one."""
    changed = tmp_path / "changed"
    sample_projects.git(tmp_path, "clone", "--quiet", str(project), str(changed))
    shutil.copytree(project / "dist", changed / "dist")
    upload = partial(mirror_server.run, BIN / "release", "upload", cwd=changed)
    assert "Warning" not in upload().stderr
    changed.joinpath("README.md").write_text("Changed.\n")
    warning = "which was built last, is not of what is here now. To build that: release build"
    assert warning in upload().stderr
    sample_projects.git(changed, "commit", "--quiet", "--all", "--message", "Change")
    assert warning in upload().stderr


def test_building_the_same_commit_again_is_allowed_other_bytes_are_not(
    project: Path, mirror_server: Mirror, tmp_path: Path
) -> None:
    """company/dev is volatile: devpi itself would replace the files without a word."""
    release_json(mirror_server, project, "build")
    changed = tmp_path / "changed"
    sample_projects.git(tmp_path, "clone", "--quiet", str(project), str(changed))
    changed.joinpath("README.md").write_text("Changed.\n")
    said = refused(mirror_server, changed, "build")
    assert "already has upload_me-0.1.0" in said
    assert "Raise the version" in said
    elsewhere = {"RELEASE_INDEX": f"{mirror_server.url}/company/prod"}
    release_json(mirror_server, changed, "build", **elsewhere)
    assert "with other content" in refused(mirror_server, changed, "upload")


def test_a_wrong_password_is_said_in_two_lines_and_shown_in_none(
    mirror_server: Mirror, tmp_path: Path
) -> None:
    """The most common failure of a first upload from CI."""
    folder = sample_projects.repository(tmp_path / "app", sample_projects.src, "upload-wrong-password")
    release_json(mirror_server, folder, "build")
    said = refused(mirror_server, folder, "upload", TWINE_PASSWORD="wr0ng")
    assert "refuses the password of company" in said
    assert "wr0ng" not in said


def test_a_user_without_permission_is_told_so(mirror_server: Mirror, tmp_path: Path) -> None:
    """Another cause, another cure: the password is right, the index's owner must allow it."""
    folder = sample_projects.repository(tmp_path / "app", sample_projects.src, "upload-as-root")
    release_json(mirror_server, folder, "build")
    said = refused(mirror_server, folder, "upload", "--username", "root")
    assert "root may not upload" in said


def test_without_a_password_the_ways_to_give_one_are_named(mirror_server: Mirror, tmp_path: Path) -> None:
    """A developer's machine without a mirror of its own: no credentials file, no keyring."""
    folder = sample_projects.repository(tmp_path / "app", sample_projects.src, "upload-no-password")
    release_json(mirror_server, folder, "build")
    url = f"{mirror_server.url}/company/dev"
    empty = {"PACKHORSE_HOME": str(tmp_path / "home"), "RELEASE_INDEX": url}
    assert "TWINE_PASSWORD" in refused(mirror_server, folder, "upload", **empty)
    release_json(
        mirror_server, folder, "upload", **empty, TWINE_PASSWORD=mirror_server.credentials["company"]
    )


def test_the_password_is_in_no_argument_list(mirror_server: Mirror, tmp_path: Path) -> None:
    """Every user of a machine can read every argument list: here they all are, while twine runs."""
    folder = sample_projects.repository(tmp_path / "app", sample_projects.src, "upload-arguments")
    release_json(mirror_server, folder, "build")
    seen: set[bytes] = set()
    with subprocess.Popen([BIN / "release", "upload"], env=mirror_server.environment, cwd=folder) as running:
        while running.poll() is None:
            seen |= set(_argument_lists())
    assert running.returncode == 0
    assert [line for line in seen if b"twine\0upload" in line]
    assert not [line for line in seen if mirror_server.credentials["company"].encode() in line]


def _argument_lists() -> Iterator[bytes]:
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            yield process.joinpath("cmdline").read_bytes()


def test_a_name_that_exists_upstream_is_no_obstacle(fresh_mirror: Mirror, tmp_path: Path) -> None:
    """devpi shows the upstream's files through inheritance until the first upload of ours."""
    folder = sample_projects.repository(tmp_path / "app", sample_projects.src, "toposort")
    path = folder / "pyproject.toml"
    path.write_text(path.read_text().replace('"0.1.0"', '"1.7"'))  # a version that the upstream has
    shown = index.files(f"{fresh_mirror.url}/company/dev", "toposort", index.get)
    assert "toposort-1.7.tar.gz" in {file.filename for file in shown}
    release_json(fresh_mirror, folder, "build")
    done = release_json(fresh_mirror, folder, "upload")
    assert [item["new"] for item in done["artifacts"]] == [True, True]


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_pip_and_uv_install_it_from_the_index_and_pip_finds_nothing_wrong(
    installer: str, project: Path, mirror_server: Mirror, tmp_path: Path
) -> None:
    """The stamped wheel is a wheel like any other: metadata, dependencies, RECORD (uninstalling needs it)."""
    assert project.is_dir()
    python = install(mirror_server, installer, tmp_path / "venv", "upload-me")
    mirror_server.run(python, "-m", "pip", "check")
    mirror_server.run(python, "-c", "import upload_me")
    mirror_server.run(python, "-m", "pip", "uninstall", "--yes", "upload-me")
    assert not list(tmp_path.glob("venv/lib/*/site-packages/upload_me*"))


def test_a_login_is_checked_kept_in_the_keyring_and_used_by_uploads(
    mirror_server: Mirror, tmp_path: Path
) -> None:
    """On a machine that has a keyring and no mirror."""
    folder = sample_projects.repository(tmp_path / "app", sample_projects.src, "upload-login")
    release_json(mirror_server, folder, "build")
    environment = {
        **mirror_server.environment,
        "PACKHORSE_HOME": str(tmp_path / "home"),
        "RELEASE_INDEX": f"{mirror_server.url}/company/dev",
        **file_keyring.environment(tmp_path),
    }
    kept = json.loads((mirror_server.home / "mirror" / "credentials.json").read_bytes())
    password: str = kept["users"]["company"]

    def release(*arguments: str, given: str = "", status: int = 0, **more: str) -> str:
        done = subprocess.run(
            [BIN / "release", *arguments],
            env={**environment, **more},
            cwd=folder,
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stderr
        assert password not in done.stdout + done.stderr
        return done.stdout + done.stderr

    assert "refuses the password of company" in release("login", given="wr0ng\n", status=1)
    assert not (tmp_path / "kept.json").exists()
    none = "keyring.backends.fail.Keyring"
    assert "TWINE_PASSWORD" in release("login", given=password, status=1, PYTHON_KEYRING_BACKEND=none)
    assert "company is logged in" in release("login", given=f"{password}\n")
    assert release("upload").count("uploaded") == 2
    assert "company is logged out" in release("logout")
    assert "No password" in release("logout")


def test_a_redirect_does_not_lead_a_login_to_another_server() -> None:
    """urllib would send the password on, to any host."""
    asked: list[str] = []

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{self.server.server_port}/elsewhere")  # type: ignore[attr-defined]
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/company/dev/+api"
        assert index.ask(url, {"Authorization": "Basic x"}).status == 302
        server.shutdown()
    assert asked == ["/company/dev/+api"]
