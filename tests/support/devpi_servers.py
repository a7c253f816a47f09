"""devpi's own commands on a folder: servers of other roles than `mirror serve` starts, export, import."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mirror.serving import command, server
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
_RUN = """
import sys
sys.path[:0] = {path}
from devpi_server import config
from devpi_server.{module} import {function}

plugins = config.get_pluginmanager()
if {stock}:
    plugins.unregister(name="packhorse")
sys.exit({function}(plugins, sys.argv))
"""


def _command(module: str, function: str, *, stock: bool, path: Sequence[str] = ()) -> Sequence[str]:
    script = _RUN.format(module=module, function=function, stock=stock, path=list(path))
    return (sys.executable, "-Ic", script)


def init_devpi(mirror: Mirror, folder: Path, *options: str) -> None:
    """devpi-init in `folder`."""
    mirror.run(*_command("init", "init", stock=False), "--serverdir", folder, *options)


def export_devpi(mirror: Mirror, folder: Path, target: Path, *, stock: bool = False) -> None:
    """devpi-export with the files of mirrors; without our plugin if `stock`."""
    command = _command("importexport", "export", stock=stock)
    mirror.run(*command, "--serverdir", folder, "--include-mirrored-files", target)


def import_devpi(mirror: Mirror, source: Path, folder: Path, *, stock: bool = False) -> None:
    """devpi-import into a new folder; without our plugin if `stock`."""
    mirror.run(*_command("importexport", "import_", stock=stock), "--serverdir", folder, source)


@contextmanager
def running_devpi(
    mirror: Mirror,
    folder: Path,
    port: int,
    *options: str,
    listens: bool = False,
    stock: bool = False,
    plugins: Path | None = None,
) -> Iterator[str]:
    """A devpi-server with the secret and in the environment of `mirror`; its URL.

    The log is `<port>.log` in the mirror's home; there a server that `listens` names replicated files.
    A `stock` server has no plugin of ours; `plugins` is a folder where others are installed.
    """
    ordinary = _command("main", "_main", stock=stock, path=[str(plugins)] if plugins else [])
    program = (sys.executable, "-Ic", _LISTEN) if listens else ordinary
    url = f"http://127.0.0.1:{port}"
    secret = mirror.home / "mirror" / "secret"
    common: Sequence[str] = ("--serverdir", str(folder), "--secretfile", str(secret), "--port", str(port))
    with (mirror.home / f"{port}.log").open("wb") as log:
        process = subprocess.Popen(
            [*program, *common, *command.CHEAP_KEY, *options],
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
