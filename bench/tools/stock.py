"""The rival of our plugin: devpi-server 6.20.3 without it, in a virtualenv of its own."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.tools import stage
from mirror.api import HttpApi
from tests.support.servers import BIN, free_port

VERSION = "6.20.3"
PASSWORD = "stock"  # noqa: S105 - of a server on loopback that lives for one benchmark


@contextlib.contextmanager
def server(folder: Path, upstream: str) -> Iterator[str]:
    """A stock server in `folder` whose root/pypi caches the index `upstream`; yields its URL."""
    install(folder / "venv")
    program, data, port = str(folder / "venv" / "bin" / "python"), folder / "server", free_port()
    secret = {**os.environ, "DEVPISERVER_ROOT_PASSWD": PASSWORD, "DEVPISERVER_SERVERDIR": str(data)}
    init = "import sys; from devpi_server.init import init; sys.exit(init())"
    stage.timed([program, "-Ic", init], folder, secret)
    command = [program, "-Im", "devpi_server", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(command, env=secret, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        stage.wait_for(f"{url}/+api")
        configure(url, upstream)
        yield url
    finally:
        running.terminate()
        running.wait()


def install(venv: Path) -> None:
    """Make the virtualenv, without the plugin."""
    uv = str(BIN / "uv")
    stage.timed([uv, "venv", "--python", sys.executable, str(venv)], venv.parent, os.environ)
    wanted = ["devpi-server==" + VERSION, "setuptools"]
    stage.timed([uv, "pip", "install", "--python", str(venv), *wanted], venv.parent, os.environ)


def configure(url: str, upstream: str) -> None:
    """Set the same upstream as ours, and no list of all projects, with which its first answers are 404."""
    change = {"mirror_url": upstream, "mirror_no_project_list": True}
    HttpApi(url, PASSWORD).call("PATCH", "/root/pypi", change)
