"""Every way to listen, with the real servers: replaced under load, without a failed request."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import sample_projects
from tests.support.load_client import Load
from tests.support.local_target import get
from tests.support.servers import BIN, Mirror, free_port

CODE = """\
import time
VERSION = "0.1.0"
def wsgi(environ, start):
    time.sleep(1.2 if environ["PATH_INFO"] == "/slow" else 0)
    start("200 OK", [("Content-Length", str(len(VERSION)))])
    return [VERSION.encode()]
async def asgi(scope, receive, send):
    import asyncio
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
            if kind.endswith("shutdown"):
                return
    await asyncio.sleep(1.2 if scope["path"] == "/slow" else 0)
    length = str(len(VERSION)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    await send({"type": "http.response.body", "body": VERSION.encode()})
"""


class Served:
    """A project whose server is `line` of its Procfile, on the mirror in two versions."""

    def __init__(self, mirror: Mirror, folder: Path, server: str, line: str) -> None:
        self.mirror, self.folder, self.port = mirror, folder, free_port()
        name = f"served-by-{server}"
        self.module = folder / "src" / name.replace("-", "_")
        sample_projects.src(folder, name)
        self.rewrite(
            folder / "pyproject.toml", 'dependencies = ["itsdangerous"]', f'dependencies = ["{server}"]'
        )
        (folder / "Procfile").write_text(f"web: {line.replace('APP', self.module.name)}\n")
        (self.module / "__init__.py").write_text(CODE)
        (folder / "release.toml").write_text(
            f'[health]\npath = "/"\n[targets.local]\nbind = "127.0.0.1:{self.port}"\n'
            "graceful_timeout = 10.0\n"
        )

    def rewrite(self, path: Path, old: str, new: str) -> None:
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    def release(self, *arguments: str) -> str:
        return self.mirror.run(BIN / "release", *arguments, cwd=self.folder, timeout=300).stdout

    def deploy(self, version: str) -> None:
        for path in (self.folder / "pyproject.toml", self.module / "__init__.py"):
            path.write_text(path.read_text().replace('"0.1.0"', f'"{version}"'))
        self.release("build", "--wheel", "--no-check")  # what imports has tests of its own
        self.release("upload")
        self.release("deploy", "local")


@pytest.fixture
def servers() -> Iterator[list[Served]]:
    made: list[Served] = []
    yield made
    for served in made:
        served.release("stop", "local")


@pytest.mark.parametrize(
    ("server", "line"),
    [
        ("gunicorn", "gunicorn APP:wsgi --threads 4 --no-control-socket"),
        ("uvicorn", "uvicorn APP:asgi --fd 3 --timeout-graceful-shutdown 8"),
        ("hypercorn", "hypercorn APP:asgi --bind fd://3 --graceful-timeout 8"),
        ("daphne", "daphne --fd 3 APP:asgi"),
        ("waitress", "waitress-serve --listen=127.0.0.1:$PORT APP:wsgi"),
    ],
)
def test_a_server_is_replaced_without_a_failed_request(
    mirror_server: Mirror, tmp_path: Path, servers: list[Served], server: str, line: str
) -> None:
    """Some take a listener as systemd hands it over, some a descriptor, some only a port."""
    served = Served(mirror_server, tmp_path, server, line)
    servers.append(served)
    served.deploy("0.1.0")
    with Load(served.port) as load:
        served.deploy("0.2.0")
        assert get(served.port) == "0.2.0"
        served.release("rollback", "local")
        assert get(served.port) == "0.1.0"
    assert load.failed == 0
    assert load.sent > 100
