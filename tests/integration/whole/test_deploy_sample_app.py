"""The sample application with gunicorn and Flask, from the real mirror to running processes."""

import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.load_client import Load
from tests.support.servers import BIN, Mirror, free_port

SOURCES = Path(__file__).parents[3] / "sample_app"


class Shop:
    """A copy of the sample application in versions that no other test uploads, deployed to this machine."""

    def __init__(self, mirror: Mirror, folder: Path) -> None:
        self.mirror = mirror
        self.folder = folder / "src"
        left = shutil.ignore_patterns(".venv", "style.css", "dist", "*.egg-info", "__pycache__")
        shutil.copytree(SOURCES, self.folder, ignore=left)
        self.port = free_port()
        self.rewrite("release.toml", 'app = "sample-app"', 'app = "deployed-sample"')
        self.rewrite("pyproject.toml", 'version = "1.0.0"', 'version = "1.11.0"')
        with self.folder.joinpath("release.toml").open("a") as settings:
            settings.write(f'\n[targets.local]\nbind = "127.0.0.1:{self.port}"\n')

    def rewrite(self, name: str, old: str, new: str) -> None:
        text = self.folder.joinpath(name).read_text()
        assert old in text
        self.folder.joinpath(name).write_text(text.replace(old, new))

    def release(self, *arguments: str) -> str:
        done = self.mirror.run(BIN / "release", *arguments, cwd=self.folder, timeout=300)
        return f"{done.stdout}{done.stderr}"

    def publish(self, *kinds: str) -> None:
        self.release("build", *kinds)
        self.release("upload")

    def get(self, path: str) -> tuple[str, str]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return answer.headers.get_content_type(), answer.read().decode()


@pytest.fixture
def shop(mirror_server: Mirror, tmp_path: Path) -> Iterator[Shop]:
    made = Shop(mirror_server, tmp_path)
    yield made
    made.release("stop", "local")


def test_the_sample_application_is_upgraded_without_a_failed_request(shop: Shop) -> None:
    """From sources to a page with its style sheet, first from the wheel, then from the sdist."""
    shop.publish("--wheel")
    shop.release("deploy", "local")
    assert shop.get("/static/style.css")[0] == "text/css"
    assert "main h1" in shop.get("/static/style.css")[1]
    shop.rewrite("pyproject.toml", 'version = "1.11.0"', 'version = "1.12.0"')
    shop.publish("--sdist")
    with Load(shop.port) as load:
        shop.release("deploy", "local")
        assert '"1.12.0"' in shop.get("/version")[1]
    assert load.failed == 0
    assert "main h1" in shop.get("/static/style.css")[1]
    assert "the database is ready" in shop.release("logs", "local", "-n", "10000")
