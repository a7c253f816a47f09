"""Upload artifacts to the company index with twine, and check them first."""

import hashlib
import os
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_version

from packhorse import filenames, process
from packhorse.errors import PackhorseError
from release import index
from release.context import Context
from release.credentials import Credentials
from release.host.formats import artifact
from release.host.install import verification


@dataclass(frozen=True)
class Uploaded:
    """A file that the index has now; `new`: it did not have it before."""

    filename: str
    sha256: str
    new: bool


def upload(paths: Iterable[Path], credentials: Callable[[], Credentials], context: Context) -> list[Uploaded]:
    """Bring the artifacts at `paths` to the index; those that it has with the same bytes are left alone.

    `credentials` is asked only when there is something to upload. Raises PackhorseError, before the
    first upload, when an artifact is not from `release build`, is not signed although it has to be, or is on
    the index with other bytes.
    """
    digests: dict[Path, str] = {}
    new: set[str] = set()
    for path in sorted(paths):
        if context.signers:
            verification.verify(path, context.signers)
        name = artifact.manifest(path).name
        digests[path] = hashlib.sha256(path.read_bytes()).hexdigest()
        new |= index.missing(context.index_url, name, {path.name: digests[path]}, context.get)
    waiting = [path for path in digests if path.name in new]
    if waiting:
        _check(waiting, context)
        _send(waiting, credentials(), context)
    return [Uploaded(path.name, sha256, path.name in new) for path, sha256 in digests.items()]


def last_built(outdir: Path, version: str | None = None) -> list[Path]:
    """The artifacts in `outdir` of the project's version that was built last.

    Raises PackhorseError when that is not `version`, the one in pyproject.toml (None: computed by the build).
    """
    releases = {path: release for path in outdir.glob("*") if (release := _release(path))}
    if not releases:
        raise PackhorseError(f"There is no artifact in {outdir}.", "Build one first: release build")
    newest = max(releases, key=lambda path: path.stat().st_mtime_ns)
    _, built = releases[newest]
    if version and canonicalize_version(version) != canonicalize_version(built):
        raise PackhorseError(
            f"pyproject.toml says version {version}, but {built} was built last.",
            f"Build it: release build. To upload {built} all the same, name its files.",
        )
    return sorted(path for path, release in releases.items() if release == releases[newest])


def _release(path: Path) -> tuple[str, str] | None:
    """Project and version of the artifact at `path`, None when it is something else."""
    found = filenames.parse(path.name)
    return (found.project, str(found.version)) if found else None


def _check(paths: Iterable[Path], context: Context) -> None:
    done = context.run(_twine("check", *map(str, paths)), env=_environment())
    if done.status != 0:
        raise process.failure(
            done,
            "twine check refuses what the artifacts say about the project.",
            "Correct [project] in pyproject.toml; most often the readme is not valid reStructuredText.",
        )


def _send(paths: Iterable[Path], credentials: Credentials, context: Context) -> None:
    command = _twine("upload", "--non-interactive", "--disable-progress-bar", *map(str, paths))
    environment = {
        **_environment(),
        "TWINE_REPOSITORY_URL": f"{context.index_url}/",
        "TWINE_USERNAME": credentials.username,
        "TWINE_PASSWORD": credentials.password,
    }
    done = context.run(command, env=environment)
    if done.status != 0:
        raise _refused(done, credentials, context.index_url)


def _twine(*arguments: str) -> list[str]:
    return [sys.executable, "-Im", "twine", *arguments]


def _environment() -> dict[str, str]:
    """Ours, with nothing in it that points twine elsewhere, and output that is not broken into lines."""
    inherited = {"TWINE_CERT", "TWINE_CLIENT_CERT"}
    ours = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("TWINE_") or name in inherited
    }
    return {**ours, "COLUMNS": "1000", "NO_COLOR": "1", "TERM": "dumb"}


def _refused(done: process.Finished, credentials: Credentials, url: str) -> PackhorseError:
    """The error for an upload that failed: the status that the index answered with says most of it."""
    done = process.Finished(done.status, credentials.scrub(done.stdout), credentials.scrub(done.stderr))
    answered = re.search(r"HTTPError: (\d{3}) ", done.output)
    status = answered[1] if answered else ""
    if status == "401":
        return PackhorseError(
            f"{url} refuses the password of {credentials.username}.",
            "Correct it: release login, or TWINE_PASSWORD; for the mirror of this machine run: mirror init",
        )
    if status == "403":
        return PackhorseError(
            f"{credentials.holder} may not upload to {url}.",
            credentials.way_to_be_let_in("Upload"),
        )
    if status == "409":
        return process.failure(
            done,
            f"{url} has this version with other content by now.",
            "Raise the version in pyproject.toml: what was uploaded never changes.",
        )
    return process.failure(
        done,
        f"twine could not upload to {url} (status {done.status}).",
        "The output above names the cause. What was uploaded before counts: run the command again.",
    )
