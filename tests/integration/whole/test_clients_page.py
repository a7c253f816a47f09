"""The commands of docs/clients.md, with the clients themselves, against a mirror of the public index."""

from collections.abc import Iterator

import pytest
import requests

from tests.support import documents
from tests.support.servers import BIN, Mirror, run_command, running_mirror
from tests.support.upstream import JSON

# The others are in the tests' own environment. PDM 2.29 breaks with hishel 2, which it allows.
TOOLS: dict[str, tuple[str, ...]] = {
    "poetry": (),
    "pdm": ("--with", "hishel<2"),
    "hatch": (),
    "flit": (),
    "pipenv": (),
}
# Those of indexes with readers are run by tests/integration/mirror/test_readers_clients.py.
BLOCKS = {
    block.filename: block.text
    for block in documents.blocks("clients.md")
    if not block.filename.startswith("login-")
}
UPLOADED = {
    **{tool: f"acme-{tool}" for tool in ("uv", "poetry", "pdm", "hatch", "flit")},
    "twine": "iniconfig",
}


@pytest.fixture(scope="module")
def mirror() -> Iterator[Mirror]:
    """With a token in ~/company-token."""
    with running_mirror() as running:
        run(running, "setup")
        yield running


def run(mirror: Mirror, name: str) -> None:
    """Run a block of the page, as the user whose home is the mirror's folder."""
    environment = mirror.environment | {"PASSWORD": mirror.credentials["company"]}
    environment["PATH"] = f"{mirror.home}/.local/bin:{environment['PATH']}"  # where uv puts tools
    del environment["UV_NO_CONFIG"]  # with which uv reads no project's settings
    script = BLOCKS[name].replace("http://127.0.0.1:3141", mirror.url)
    run_command("sh", "-eux", "-c", script, env=environment, cwd=mirror.home)


@pytest.mark.parametrize("name", [name for name in BLOCKS if name != "setup"])
def test_the_settings_of_a_client_work(mirror: Mirror, name: str) -> None:
    """A page that is not tried is wrong after the next release of a client."""
    if name in TOOLS:
        index = ("--default-index", mirror.index_url("root/pypi"))
        mirror.run(BIN / "uv", "tool", "install", "--quiet", *index, *TOOLS[name], name)
    run(mirror, name)
    if project := UPLOADED.get(name):
        url = f"{mirror.index_url('company/dev')}{project}/"
        files = requests.get(url, headers={"Accept": JSON}, timeout=30).json()["files"]
        assert files
        assert all("/company/dev/+f/" in file["url"] for file in files)
