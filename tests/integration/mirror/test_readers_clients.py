"""How pip, uv and twine log in to protected indexes: the commands of docs/clients.md, with the tools."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support import documents, file_keyring, protected
from tests.support.dists import wheel
from tests.support.mirror_and_upstream import mirror_of
from tests.support.protected import Protected
from tests.support.servers import run_command
from tests.support.upstream import JSON, Upstream

BLOCKS = {
    block.filename.removeprefix("login-"): block.text
    for block in documents.blocks("clients.md")
    if block.filename.startswith("login-")
}


@pytest.fixture(scope="module")
def guarded() -> Iterator[Protected]:
    with Upstream() as upstream, mirror_of(upstream, protected.SETTINGS) as mirrored:
        yield protected.prepare(mirrored)


@pytest.fixture
def home(tmp_path: Path, guarded: Protected) -> Path:
    """Somebody's home, with nothing but a token for reading, and a wheel to upload."""
    run(guarded, tmp_path, "setup")
    dist = wheel("newlib", "1.0")
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / dist.filename).write_bytes(dist.content)
    return tmp_path


def run(guarded: Protected, home: Path, name: str) -> None:
    """Run a block of the page there, with a keyring; no secret is in an argument, nor shown."""
    keyring = {} if name == "setup" else file_keyring.environment(home)
    environment = guarded.mirror.environment | keyring | {"HOME": str(home)}
    netloc = guarded.url.removeprefix("http://")
    script = BLOCKS[name].replace("127.0.0.1:3141", netloc)
    done = run_command("sh", "-eu", "-c", script, env=environment, cwd=home)
    token = home / "reading-token"
    assert name == "setup" or token.read_text().strip() not in done.stdout + done.stderr


@pytest.mark.parametrize("way", ["netrc", "keyring", "environment"])
def test_pip_and_uv_log_in(guarded: Protected, home: Path, way: str) -> None:
    """By what is neither in a URL nor in an argument list; the upstream's files come along."""
    run(guarded, home, way)
    got = home / "wheels" / guarded.dist.filename
    assert got.read_bytes() == guarded.dist.content
    assert (home / "wheels" / wheel("upstreamlib", "1.0").filename).exists()
    assert len(list(home.glob(".venv/lib/python*/site-packages/secretlib-1.0.dist-info"))) == 1


def test_twine_uploads_with_a_token_from_keyring(guarded: Protected, home: Path) -> None:
    """And who reads company/dev finds it."""
    run(guarded, home, "twine")
    url = f"{guarded.mirror.index_url('company/dev')}newlib/"
    page = requests.get(url, auth=guarded.anna, headers={"Accept": JSON}, timeout=30).json()
    assert [file["filename"] for file in page["files"]] == [wheel("newlib", "1.0").filename]
