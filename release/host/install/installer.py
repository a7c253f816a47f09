"""uv and pip on a host: argument lists, environment, and errors that say what to do."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from venv import EnvBuilder

from packhorse import process
from packhorse.errors import PackhorseError
from release.host.control.session import Session
from release.host.disk.layout import Layout
from release.host.disk.manifest import ReleaseSpec
from release.host.install import interpreter
from release.host.processes import process_table

# A name that no server ever has (RFC 2606), for installs that may use nothing from the network.
NOWHERE = "https://index.invalid/"
_INSTALL_HINT = "The output above names the cause; check that the lock names everything that is needed."


@dataclass(frozen=True)
class Installer:
    """The installer of the release in `folder`, with the Python `python`."""

    layout: Layout
    folder: Path
    spec: ReleaseSpec
    python: interpreter.Interpreter
    session: Session

    @property
    def venv(self) -> Path:
        """The virtualenv of the release."""
        return self.folder / "venv"

    @property
    def requirements(self) -> Path:
        """The requirements file that the installer reads."""
        return self.folder / "requirements.txt"

    def make(self) -> None:
        """Make the empty virtualenv; for uv in this process, as it needs no pip inside."""
        with_pip = self.spec.content.installer == "pip"
        if self.python.is_own and not with_pip:
            EnvBuilder(symlinks=True).create(self.venv)
        else:
            command = make_command(self.python.path, self.venv, with_pip=with_pip)
            self._run(command, "The virtualenv was not made")

    def fill(self) -> None:
        """Install the requirements, without an index."""
        problem = f"{self.spec.content.project} {self.spec.content.version} was not installed"
        if self.spec.content.installer == "pip":
            self._run(fill_command("pip", self.venv, self.requirements), problem)
            return
        # uv queries every Python at a new path, which takes as long as all the rest: so every virtualenv has
        # the same path while it is filled, one for each version of Python.
        alias = self.layout.cache / (
            "venv" if self.python.is_own else f"venv-{self.python.version.rpartition('.')[0]}"
        )
        alias.unlink(missing_ok=True)
        alias.symlink_to(self.venv)
        self._run(fill_command("uv", alias, self.requirements), problem)
        rename_python(self.venv, alias)

    def _run(self, command: Sequence[str], problem: str) -> None:
        """Run `command`. Raises PackhorseError with `problem`."""
        self.session.safe_point()
        environment = {
            **process.installer_environment(NOWHERE, self.layout.folder),
            "UV_CACHE_DIR": str(self.layout.uv_cache),
            "PIP_CACHE_DIR": str(self.layout.cache / "pip"),
            process_table.MARK: str(self.folder),  # an installer that outlives us is found by it
        }
        done = self.session.run(command, cwd=self.folder, env=environment)
        if done.status:
            raise failure(self.spec, done, problem)


def make_command(python: str, venv: Path, *, with_pip: bool) -> list[str]:
    """Make `venv` of the Python at the path `python`."""
    return [python, "-Im", "venv", *([] if with_pip else ["--without-pip"]), str(venv)]


def fill_command(installer: str, venv: Path, requirements: Path) -> list[str]:
    """Install `requirements`, which lists files of this host, into `venv`."""
    python = str(venv / "bin" / "python")
    only = [
        *("--quiet", "--no-index", "--only-binary", ":all:"),
        *("--require-hashes", "--requirement", str(requirements)),
    ]
    if installer == "pip":
        return [python, "-Im", "pip", "install", *only]
    return [_uv(), "pip", "install", "--offline", "--python", python, *only]


def rename_python(venv: Path, alias: Path) -> None:
    """Replace `alias` by `venv` in its scripts: it was filled under that path."""
    for path in (venv / "bin").iterdir():
        with path.open("rb") as file:
            is_script = file.read(2) == b"#!"
        # Files without the alias may be hard links into the cache: they must not be written to.
        if is_script and bytes(alias) in (text := path.read_bytes()):
            path.write_bytes(text.replace(bytes(alias), bytes(venv)))


def _uv() -> str:
    import uv

    return uv.find_uv_bin()


def prune_cache(layout: Layout, filenames: Sequence[str]) -> None:
    """Remove the unpacked contents of the removed files `filenames` from uv's cache. Raises PackhorseError.

    Not through a session: the release is committed, and nothing stops any more.
    """
    names = sorted({name.partition("-")[0] for name in filenames if name.endswith(".whl")})
    if names and layout.uv_cache.exists():
        environment = {**os.environ, "UV_CACHE_DIR": str(layout.uv_cache)}
        done = process.run([_uv(), "cache", "clean", "--quiet", *names], env=environment)
        if done.status:
            raise process.failure(
                done, f"uv could not clean its cache (status {done.status}).", "Look at the disk."
            )


_CAUSES = (
    (
        r"No space left on device|os error 28",
        "the disk is full",
        "Free some space and deploy again.",
    ),
    (
        r"(?i)hash mismatch|do not match the hashes",
        "a file on this host is not the one that was locked",
        "Find out who changed it, remove cache/files in the folder of the application, and deploy again.",
    ),
)


def failure(spec: ReleaseSpec, done: process.Finished, problem: str) -> PackhorseError:
    """The error for `done`, a failed run of the installer."""
    for pattern, cause, known_hint in _CAUSES:
        if re.search(pattern, done.output):
            return process.failure(done, f"{problem}: {cause}.", known_hint)
    status = f"{spec.content.installer} ended with status {done.status}"
    return process.failure(done, f"{problem}: {status}.", _INSTALL_HINT)
