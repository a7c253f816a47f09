"""From a folder with an application to its URL, by `release new`, `build`, `upload` and `deploy` alone."""

import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tests.support.release_command import release_json
from tests.support.servers import BIN, Mirror, run_command

FLASK = """
from flask import Flask, render_template

app = Flask(__name__)


@app.get("/")
def home():
    return render_template("home.html")
"""
FASTAPI = """
from fastapi import FastAPI

app = FastAPI()


@app.get("/health")
def health() -> str:
    return "the first hour"
"""


def flask(_: Mirror, folder: Path) -> None:
    """One module and its templates, as tutorials have it."""
    (folder / "templates").mkdir()
    (folder / "templates" / "home.html").write_text("the first hour")
    (folder / "app.py").write_text(FLASK)


def fastapi(_: Mirror, folder: Path) -> None:
    (folder / "main.py").write_text(FASTAPI)


def django(mirror: Mirror, folder: Path) -> None:
    """As `startproject` makes it."""
    mirror.run(BIN / "uv", "venv", folder.parent / "venv", "--python", sys.executable)
    python = folder.parent / "venv" / "bin" / "python"
    index = ("--index-url", mirror.index_url("root/pypi"))
    mirror.run(BIN / "uv", "pip", "install", "--python", python, *index, "django")
    mirror.run(python, "-m", "django", "startproject", "site1", str(folder))


@pytest.mark.parametrize(
    ("make", "path", "text"),
    [
        (flask, "/", "the first hour"),
        (fastapi, "/health", "the first hour"),
        (django, "/", "Congratulations"),
    ],
)
def test_a_folder_with_an_application_gets_a_url(
    make: Callable[[Mirror, Path], None], path: str, text: str, mirror_server: Mirror, tmp_path: Path
) -> None:
    """Nothing is written by hand."""
    folder = tmp_path / f"hour-{make.__name__}"
    folder.mkdir()
    make(mirror_server, folder)
    with socket.create_server(("127.0.0.1", 0)) as free:
        bind = f"127.0.0.1:{free.getsockname()[1]}"
    assert "release.toml" in release_json(mirror_server, folder, "new")["files"]
    settings = folder / "release.toml"
    settings.write_text(settings.read_text().replace("127.0.0.1:8000", bind))
    release_json(mirror_server, folder, "build")
    release_json(mirror_server, folder, "upload")
    try:
        release_json(mirror_server, folder, "deploy", "local")
        assert text in requests.get(f"http://{bind}{path}", timeout=30).text
    finally:
        run_command(BIN / "release", "stop", "local", env=mirror_server.environment, cwd=folder)
