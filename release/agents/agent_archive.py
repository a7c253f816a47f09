"""The agent as one archive, named by its hash, and the command that starts it on any host."""

import functools
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

from release.host.control import bootstrap

# What of the shared package the agent imports: a host's toolbox has neither click nor pydantic.
SHARED = (
    "__init__.py",
    "calendar.py",
    "errors.py",
    "files.py",
    "metadata_headers.py",
    "process.py",
    "sdists.py",
    "toml.py",
    "zips.py",
)
MAIN = '''"""The agent."""
import runpy
runpy.run_module("release.host", run_name="__main__", alter_sys=True)
'''


@dataclass(frozen=True)
class Archive:
    """A zip file of the agent's modules: `data`, and the `sha256` of what is in it, see bootstrap.py."""

    data: bytes
    sha256: str


@functools.cache
def archive() -> Archive:
    """The agent of this Packhorse. The same sources give the same bytes on every machine."""
    buffer, files = io.BytesIO(), dict(_files())
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:  # zlib's bytes depend on its version
        for name in sorted(files):
            file.writestr(zipfile.ZipInfo(name), files[name])  # without a date: 1980
    return Archive(buffer.getvalue(), bootstrap.digest(files))


def _files() -> Iterator[tuple[str, bytes]]:
    yield "__main__.py", MAIN.encode()
    yield "release/__init__.py", (resources.files("release") / "__init__.py").read_bytes()
    for name in SHARED:
        yield f"packhorse/{name}", (resources.files("packhorse") / name).read_bytes()
    yield from _package("release/host", resources.files("release.host"))


def _package(name: str, folder: Traversable) -> Iterator[tuple[str, bytes]]:
    """The modules of package `folder` and of those below it, as files of folder `name`."""
    for path in folder.iterdir():
        if path.is_dir():
            yield from _package(f"{name}/{path.name}", path)
        elif path.name.endswith(".py"):
            yield f"{name}/{path.name}", path.read_bytes()


def command(python: str, folder: str) -> list[str]:
    """Start the agent with `python`; it is kept below `folder`. See bootstrap.py for what comes on stdin."""
    program = (resources.files("release.host.control") / "bootstrap.py").read_text("utf-8")
    agent = archive()
    return [python, "-I", "-c", program, folder, agent.sha256, str(len(agent.data))]
