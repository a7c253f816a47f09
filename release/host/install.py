"""An artifact on the index in, a verified and complete release folder with its own virtualenv out."""

import contextlib
import hashlib
import platform
import re
import sys
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path

from packhorse import files, process
from packhorse.errors import PackhorseError
from release.host import artifact, bytecode, journal, processes, state
from release.host.layout import Layout
from release.host.request import Deploy, File
from release.host.session import Session

CHUNK = 256 * 1024
NETWORK_TIMEOUT = 60.0


def candidate(offered: Sequence[File]) -> File:
    """The file to install on this Python: the best compatible wheel, else the sdist."""
    from packaging.tags import sys_tags
    from packaging.utils import parse_wheel_filename

    rank = {tag: position for position, tag in enumerate(sys_tags())}
    ranked = []
    for file in offered:
        if file.filename.endswith(".whl"):
            ranks = [rank[tag] for tag in parse_wheel_filename(file.filename)[3] if tag in rank]
            ranked += [(min(ranks), file)] if ranks else []
        elif file.filename.endswith(".tar.gz"):
            ranked.append((len(rank), file))
    if not ranked:
        names = ", ".join(file.filename for file in offered) or "no file at all"
        raise PackhorseError(
            f"No uploaded file fits Python {platform.python_version()} on {platform.machine()}: {names}.",
            "Upload an sdist or a wheel for this platform: release build, release upload",
        )
    return min(ranked, key=lambda pair: pair[0])[1]


def install(layout: Layout, number: int, wanted: Deploy, file: File, session: Session) -> None:
    """Make release `number` from `file`; nothing of it stays when that fails.

    Raises PackhorseError, or OSError for the disk.
    """
    folder = layout.release(number)
    try:
        folder.mkdir()
        session.step("fetch", f"Fetching {file.filename}")
        _fetch(file, folder, session)
        contents = _read(folder / file.filename)
        session.step("install", _what_is_installed(contents, file))
        own = f"{wanted.project} @ {(folder / file.filename).as_uri()} --hash=sha256:{file.sha256}"
        lines = [*contents.requirements, own, ""]
        files.write_whole(folder / "requirements.txt", "\n".join(lines).encode())
        _install(layout, number, wanted, session)
        manifest = state.Manifest(
            release=number,
            project=wanted.project,
            version=wanted.version,
            filename=file.filename,
            sha256=file.sha256,
            lock_sha256=contents.manifest.lock_sha256,
            commit=contents.manifest.commit,
            processes=contents.processes,
            health=wanted.health,
            graceful_timeout=wanted.graceful_timeout,
            installer=wanted.installer,
            python=platform.python_version(),
            by=wanted.by,
            at=journal.now(),
        )
        state.write_manifest(layout, manifest, wanted.env)
        state.mark_ready(layout, number)
    except BaseException:
        with contextlib.suppress(OSError):  # the next command sweeps what a broken disk keeps
            state.remove(layout, number)
        raise


def _read(path: Path) -> artifact.Contents:
    contents = artifact.read(path)
    if "release" in contents.processes:
        raise PackhorseError(
            f"{path.name}: its Procfile has a process type release, which is not run yet.",
            "Run these commands by hand and take the line out of the Procfile.",
        )
    return contents


def _what_is_installed(contents: artifact.Contents, file: File) -> str:
    locked = f"Installing {len(contents.requirements)} locked packages and {file.filename}"
    if file.filename.endswith(".whl"):
        return locked
    return f"{locked}, which is built here: its build requirements are resolved on the index, not locked"


def _fetch(file: File, folder: Path, session: Session) -> None:
    """Download `file` into `folder`, and compare what came with what the index promised."""
    if not file.url.startswith(("http://", "https://")):
        raise PackhorseError(f"{file.url}: this is no web address.", "Check the index.")
    digest = hashlib.sha256()
    try:
        with (
            urllib.request.urlopen(file.url, timeout=NETWORK_TIMEOUT) as answer,  # noqa: S310  # checked above
            (folder / file.filename).open("xb") as target,
        ):
            while chunk := answer.read(CHUNK):
                session.safe_point()
                digest.update(chunk)
                target.write(chunk)
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
        raise PackhorseError(
            f"{file.url} could not be fetched: {error}",
            "Check that the index runs and is reachable from this host.",
        ) from error
    if digest.hexdigest() != file.sha256:
        raise PackhorseError(
            f"{file.filename} has the sha256 {digest.hexdigest()}, but the index promised {file.sha256}.",
            "Find out who changed the file; upload it again under a new version.",
        )


def _install(layout: Layout, number: int, wanted: Deploy, session: Session) -> None:
    folder = layout.release(number)
    environment = {
        **process.installer_environment(wanted.index_url, layout.folder),
        "UV_CACHE_DIR": str(layout.cache),
        "PIP_CACHE_DIR": str(layout.cache),
        processes.MARK: str(folder),  # an installer that outlives us is found by it
    }
    for command in installer_commands(wanted.installer, folder):
        session.safe_point()
        done = session.run(command, cwd=folder, env=environment)
        if done.status:
            raise _explained(wanted, done)
    before = state.current(layout)
    if before is not None:
        bytecode.share(layout.release(before) / "venv", folder / "venv")


def installer_commands(installer: str, folder: Path) -> list[list[str]]:
    """The programs that make `folder`/venv and fill it; the index comes through their environment."""
    # The virtualenv must not hang on ours, so it is made from the Python below it.
    base = getattr(sys, "_base_executable", sys.executable)
    venv, requirements = folder / "venv", str(folder / "requirements.txt")
    python = str(venv / "bin" / "python")
    if installer == "pip":
        install = [
            python,
            "-Im",
            "pip",
            "install",
            "--quiet",
            "--require-hashes",
            "--requirement",
            requirements,
        ]
        return [[base, "-Im", "venv", str(venv)], install]
    import uv

    program = uv.find_uv_bin()
    make = [program, "venv", "--quiet", "--no-project", "--python", base, str(venv)]
    install = [program, "pip", "install", "--quiet", "--python", python, "--require-hashes"]
    return [make, [*install, "--requirement", requirements]]


_CAUSES = (
    (
        r"No space left on device|os error 28",
        "the disk is full",
        "Free some space and deploy again.",
    ),
    (
        r"(?i)hash mismatch|do not match the hashes",
        "a file on the index is not the one that was locked",
        "Find out who changed it; renew the lock if that was right: release lock",
    ),
    (
        r"(?i)error sending request|connection refused|failed to establish a new connection|timed out",
        "the index {index} could not be reached",
        "Check that the index runs and is reachable from this host.",
    ),
)


def _explained(wanted: Deploy, done: process.Finished) -> PackhorseError:
    """The installer's failure in our words, its own as the detail."""
    name = f"{wanted.project} {wanted.version}"
    for pattern, cause, hint in _CAUSES:
        if re.search(pattern, done.output):
            return PackhorseError(
                f"{name} was not installed: {cause.format(index=wanted.index_url)}.", hint, detail=done.output
            )
    return PackhorseError(
        f"{name} was not installed: {wanted.installer} ended with status {done.status}.",
        "Its words are above; check that the index has everything that the lock names.",
        detail=done.output,
    )
