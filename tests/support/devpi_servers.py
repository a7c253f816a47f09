"""devpi's own commands on a folder: servers of other roles than `mirror serve` starts, and no plugin."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mirror import server
from tests.support.servers import Mirror, wait_until

_LISTEN = """
import sys
from devpi_server import config, main

class Listener:
    @config.hookimpl
    def devpiserver_on_replicated_file(self, project, version, link):
        print("replicated", project, version, link.basename, flush=True)

plugins = config.get_pluginmanager()
plugins.register(Listener())
sys.exit(main._main(plugins))
"""
_RUN = "import sys; from devpi_server.{0} import {1}; sys.exit({1}())"


def _command(module: str, function: str) -> Sequence[str]:
    return (sys.executable, "-Ic", _RUN.format(module, function))


def init_devpi(mirror: Mirror, folder: Path, *options: str) -> None:
    """devpi-init in `folder`."""
    mirror.run(*_command("init", "init"), "--serverdir", folder, *options)


@contextmanager
def running_devpi(
    mirror: Mirror, folder: Path, port: int, *options: str, listens: bool = False
) -> Iterator[str]:
    """A devpi-server with the secret and in the environment of `mirror`; its URL.

    The log is `<port>.log` in the mirror's home; there a server that `listens` names replicated files.
    """
    program = (sys.executable, "-Ic", _LISTEN) if listens else _command("main", "main")
    url = f"http://127.0.0.1:{port}"
    secret = mirror.home / "mirror" / "secret"
    common: Sequence[str] = ("--serverdir", str(folder), "--secretfile", str(secret), "--port", str(port))
    with (mirror.home / f"{port}.log").open("wb") as log:
        process = subprocess.Popen(
            [*program, *common, *server._CHEAP_KEY, *options],
            env=mirror.environment,
            stdout=log,
            stderr=log,
        )
    try:
        wait_until(f"{url} answers", lambda: server.answers(url), deadline=60)
        yield url
    finally:
        process.kill()
        process.wait()
