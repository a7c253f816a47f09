"""Find the Python that a release asks for among those of this host, and the wheels that fit it."""

import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from packhorse import process
from packhorse.errors import PackhorseError
from release.host.disk.layout import SERVER_ROOT, Layout

PROVISIONED = Path("/opt/packhorse/python")
"""Builds of Python that `release provision` has brought: a folder for each version, such as 3.13."""
_SERVER_PATH = "/usr/local/bin:/usr/bin:/bin"
# On a machine where one user does all, also what uv and pyenv have installed for that user.
_OF_USER = (".local/share/uv/python/cpython-{}.*/bin", ".pyenv/versions/{}.*/bin")
# Runs in another Python, which may have no packages: our `packaging` comes last on its path.
_QUERY = """\
import json, platform, sys
sys.path.append(sys.argv[1])
from packaging import markers, tags
print(json.dumps({
    "path": getattr(sys, "_base_executable", sys.executable),
    "version": platform.python_version(),
    "environment": markers.default_environment(),
    "tags": [[tag.interpreter, tag.abi, tag.platform] for tag in tags.sys_tags()],
}))
"""


@dataclass(frozen=True)
class Interpreter:
    """A Python outside of any virtualenv: its path and version, as platform.python_version() has it.

    `environment` (for markers, PEP 508) and `tags` (interpreter, ABI, platform; the best first) are None for
    the Python that runs this program, which need not be asked.
    """

    path: str
    version: str
    environment: Mapping[str, str] | None = None
    tags: tuple[tuple[str, str, str], ...] | None = None

    @property
    def is_own(self) -> bool:
        """Whether this program runs on it, too."""
        return self.tags is None


def own() -> Interpreter:
    """The Python below the virtualenv of this program: a release must not depend on that."""
    return Interpreter(getattr(sys, "_base_executable", sys.executable), platform.python_version())


def find(layout: Layout, version: str | None) -> Interpreter:
    """The Python `version` (such as 3.12) of this host; None: the one that runs this program.

    Raises PackhorseError when there is none.
    """
    if version in (None, f"{sys.version_info[0]}.{sys.version_info[1]}"):
        return own()
    on_server = layout.root == SERVER_ROOT
    for path in _candidates(str(version), on_server=on_server):
        found = _ask(path)
        if found and found.version.startswith(f"{version}."):
            return found
    here = f"{platform.python_version()} of {sys.executable}"
    install = "release provision brings it" if on_server else "Install it: uv python install, pyenv, apt"
    raise PackhorseError(
        f"There is no Python {version} on this host, which has {here}.",
        f"{install}. Or ask for another one: python in release.toml, or .python-version.",
    )


def _candidates(version: str, *, on_server: bool) -> Iterator[str]:
    """Programs that may be it; on servers only root's, which no application can change."""
    name = f"python{version}"
    for folder in (_SERVER_PATH if on_server else os.environ.get("PATH", _SERVER_PATH)).split(":"):
        yield f"{folder}/{name}"
    yield str(PROVISIONED / version / "bin" / name)
    if not on_server:
        for pattern in _OF_USER:
            yield from sorted(str(path / name) for path in Path.home().glob(pattern.format(version)))


def _ask(path: str) -> Interpreter | None:
    """Ask the Python at `path` about itself; None when there is none, or a broken one."""
    import packaging

    if not shutil.which(path):
        return None
    done = process.run([path, "-I", "-c", _QUERY, str(Path(packaging.__file__).parents[1])], timeout=20)
    try:
        said = json.loads(done.stdout)
    except ValueError:
        return None
    tags = tuple((tag[0], tag[1], tag[2]) for tag in said["tags"])
    return Interpreter(said["path"], said["version"], said["environment"], tags)
