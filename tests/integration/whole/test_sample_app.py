"""The sample application: its files in both artifacts, and its pages from a fresh virtualenv."""

import json
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.release_command import install, release_json
from tests.support.servers import Mirror

SOURCES = Path(__file__).parents[3] / "sample_app"
STATIC = {
    "migrations/env.py",
    "migrations/versions/0001_users_links_tags.py",
    "static/app.js",
    "static/manifest.json",
    "static/packhorse.svg",
    "static/style.css",
    "templates/base.html",
    "templates/main/list.html",
}
FETCH = """
import json, sys
from sample_app import create_app
app = create_app()
assert app.test_cli_runner().invoke(args=["deploy"]).exit_code == 0
client = app.test_client()
answers = {}
for path in sys.argv[1:]:
    answer = client.get(path)
    answers[path] = [answer.status_code, answer.mimetype, answer.text, answer.headers.get("Cache-Control")]
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def artifacts(mirror_server: Mirror, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Wheel and sdist of a clean copy of the sources, uploaded to the mirror."""
    folder = tmp_path_factory.mktemp("sample") / "sample_app"
    left = shutil.ignore_patterns(".venv", "style.css", "dist", "*.egg-info", "__pycache__", "test-output")
    shutil.copytree(SOURCES, folder, ignore=left)
    built = release_json(mirror_server, folder, "build")
    release_json(mirror_server, folder, "upload")
    return {item["kind"]: Path(item["path"]) for item in built["artifacts"]}


def test_the_static_files_are_in_the_wheel_and_in_the_sdist(artifacts: dict[str, Path]) -> None:
    """The classic of Python packaging: works in the checkout, is missing on the server."""
    with zipfile.ZipFile(artifacts["wheel"]) as wheel, tarfile.open(artifacts["sdist"]) as sdist:
        in_wheel, in_sdist = set(wheel.namelist()), set(sdist.getnames())
        css = wheel.read("sample_app/static/style.css").decode()
        hashed = json.loads(wheel.read("sample_app/static/manifest.json"))
        assert wheel.read(f"sample_app/static/{hashed['style.css']}").decode() == css
    assert {f"sample_app/{name}" for name in STATIC} <= in_wheel
    assert {f"sample_app-1.0.0/sample_app/{name}" for name in STATIC} <= in_sdist
    assert "main h1{" in css  # nested in the SCSS: it was compiled
    assert sorted(hashed) == ["app.js", "favicon.svg", "packhorse.svg", "style.css"]
    static = {name for name in in_wheel if name.startswith("sample_app/static/")}
    assert len(static) == 2 * len(hashed) + 1, "old files were collected"


def test_the_committed_lock_and_sources_name_no_host(artifacts: dict[str, Path]) -> None:
    """Who builds the sample elsewhere has another index."""
    assert artifacts
    assert "://" not in SOURCES.joinpath("pylock.toml").read_text()


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_a_fresh_virtualenv_serves_its_pages(
    installer: str, artifacts: dict[str, Path], mirror_server: Mirror, tmp_path: Path
) -> None:
    """sample-app comes from the company index, Flask through it from the upstream."""
    assert artifacts
    python = install(
        mirror_server, installer, tmp_path / "venv", "sample-app==1.0.0"
    )  # other tests upload others
    with zipfile.ZipFile(artifacts["wheel"]) as wheel:
        style = f"/static/{json.loads(wheel.read('sample_app/static/manifest.json'))['style.css']}"
    paths = ["/", "/healthz", "/version", style, "/static/packhorse.svg"]
    done = mirror_server.run("env", "ENVIRONMENT=development", python, "-c", FETCH, *paths, cwd=tmp_path)
    check(json.loads(done.stdout.splitlines()[-1]), style)


def check(answers: dict[str, Any], style: str) -> None:
    assert {status for status, *_ in answers.values()} == {200}
    assert f'href="{style}"' in answers["/"][2]
    assert "A packhorse with its load" in answers["/"][2]
    assert json.loads(answers["/healthz"][2]) == {"status": "ok"}
    assert json.loads(answers["/version"][2]) == {"version": "1.0.0", "release": None}
    assert answers[style][1] == "text/css"
    assert "immutable" in answers[style][3]
    assert answers["/static/packhorse.svg"][1] == "image/svg+xml"
