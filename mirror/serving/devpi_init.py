"""Create devpi's data with devpi-init."""

import os
import secrets
import shutil
import sys

from mirror.state import Folder
from packhorse import files, process

_INIT = ["-Ic", "import sys, mirror; from devpi_server.init import init; sys.exit(init())"]
_DEFAULT_UPSTREAM = """
import mirror, devpi_server.main
print(devpi_server.main._pypi_ixconfig_default["mirror_url"])
"""


def initialise(folder: Folder, root_password: str) -> None:
    """Create devpi's data with devpi-init, whole or not at all. The caller holds the locks."""
    for leftover in folder.root.glob("server.new.*"):
        shutil.rmtree(leftover)
    if not folder.secret.exists():
        files.write_whole(folder.secret, secrets.token_hex(32).encode(), 0o600)
    scratch = folder.root / f"server.new.{secrets.token_hex(4)}"
    done = process.run(
        [sys.executable, *_INIT, "--serverdir", str(scratch)],
        env={**os.environ, "DEVPISERVER_ROOT_PASSWD": root_password},
    )
    if done.status != 0:
        raise process.failure(
            done,
            f"devpi-init could not make {scratch} (status {done.status}).",
            "The output above names the cause; then run `mirror init` again.",
        )
    os.sync()  # devpi-init does not: after a power cut, devpi-server would refuse the half-written data
    scratch.rename(folder.server)
    files.sync_folder(folder.root)


def default_upstream() -> str:
    """The address that devpi-init gives root/pypi. Raises PackhorseError."""
    done = process.run([sys.executable, "-Ic", _DEFAULT_UPSTREAM])
    if done.status != 0:
        raise process.failure(
            done,
            f"devpi-server has no default for the upstream (status {done.status}).",
            "Name one: `url` of [upstream] in mirror.toml.",
        )
    return done.stdout.strip()
