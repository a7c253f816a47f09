"""Install a release: download and verify its files, make its virtualenv, write its manifest."""

import contextlib
import hashlib
import platform
import random
import shutil
import socket
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from packhorse import files
from packhorse.errors import PackhorseError
from release.host.control.session import Session
from release.host.disk import file_cache, journal, releases
from release.host.disk.layout import Layout
from release.host.disk.manifest import Content, File, ReleaseManifest, ReleaseSpec
from release.host.install import bytecode, installer
from release.host.runtime import launch

if TYPE_CHECKING:
    from release.host.formats import artifact


def select_file(offered: Sequence[File]) -> File:
    """Select the file to install on this Python: the best compatible wheel, else the sdist."""
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


def install(layout: Layout, spec: ReleaseSpec, file: File, session: Session) -> None:
    """Install the release `spec` from `file`; nothing of it stays when that fails.

    Raises PackhorseError, or OSError for the disk.
    """
    number, content = spec.number, spec.content
    try:
        session.step("fetch", f"Fetching {file.filename} and what it needs")
        contents, needed = _fetch(layout, spec, file, session)
        session.step("install", _what_is_installed(layout, needed))
        layout.release(number).mkdir()
        _install(layout, spec, needed, session)
        session.checkpoint("ready")
        manifest = ReleaseManifest(
            release=number,
            project=content.project,
            version=content.version,
            filename=file.filename,
            sha256=file.sha256,
            lock_sha256=contents.manifest.lock_sha256,
            commit=contents.manifest.commit,
            index=content.index,
            dirty=contents.manifest.dirty,
            committer=contents.manifest.committer,
            processes=contents.processes,
            health=content.health,
            graceful_timeout=content.graceful_timeout,
            installer=content.installer,
            python=platform.python_version(),
            by=spec.by,
            at=journal.now(),
            rules=content.rules,
            files={file.sha256: file.filename for file in needed},
            origin=spec.origin or number,
            port=_free_port() if launch.wants_port(contents.processes["web"]) else None,
            offered={file.sha256: file.filename for file in content.files},
        )
        releases.write_manifest(layout, manifest, content.env)
        releases.mark_ready(layout, number)
    except BaseException:
        with contextlib.suppress(OSError):  # the next command removes what a broken disk keeps
            releases.remove(layout, number)
        raise


def _fetch(
    layout: Layout, spec: ReleaseSpec, file: File, session: Session
) -> "tuple[artifact.Contents, list[File]]":
    """Download the artifact and the files that it needs here; return its contents, and all files, it last."""
    from release.host.formats import artifact, lockfile

    file_cache.fetch(layout, [file], spec.index_url, session)
    contents = artifact.read(file_cache.path(layout, file))
    artifact.require(contents, spec.content.project, spec.content.version, file.filename)
    _check_python(contents, file)
    locked = lockfile.select(contents.lock, f"{file.filename}: {lockfile.NAME}")
    needed = [*(File(*names) for names in locked), file]
    file_cache.fetch(layout, needed, spec.index_url, session)
    return contents, needed


def _check_python(contents: "artifact.Contents", file: File) -> None:
    from packaging.specifiers import SpecifierSet

    required, present = contents.manifest.requires_python, platform.python_version()
    if required and not SpecifierSet(required).contains(present, prereleases=True):
        raise PackhorseError(
            f"{file.filename} needs Python {required}, this host has {present}.",
            "Install such a Python on the host and provision it again, or build for this one.",
        )


def _free_port() -> int:
    """A free port, below those of outgoing connections (ip_local_port_range)."""
    for port in random.sample(range(20_000, 32_000), 100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise PackhorseError("There is no free port from 20000 to 32000.", "Look at what listens: ss -lt")


def _what_is_installed(layout: Layout, needed: Sequence[File]) -> str:
    *locked, own = needed
    text = f"Installing {len(locked)} locked packages and {own.filename}"
    built = ", ".join(file.filename for file in needed if wheel_of(layout, file) is None)
    if not built:
        return text
    return f"{text}; built here is {built}: build requirements are resolved on the index, not locked"


def _install(layout: Layout, spec: ReleaseSpec, needed: Sequence[File], session: Session) -> None:
    """Make the virtualenv; only builds of sdists need the index."""
    tool = installer.Installer(layout, layout.release(spec.number), spec, session)
    tool.make()
    wheels = [(file, _wheel(layout, file, tool)) for file in needed]
    lines = [_requirement(file, wheel) for file, wheel in wheels]
    files.write_whole(tool.requirements, "".join(lines).encode())
    tool.fill()
    before = same_content(layout, spec.content) or releases.current(layout)
    if before is not None:
        bytecode.share(layout.release(before) / "venv", tool.venv)


def same_content(layout: Layout, content: Content) -> int | None:
    """The newest release with the files that `content` needs, if all of them are still in the cache."""
    digests = {file.sha256 for file in content.files}
    for number in reversed(
        [number for number in releases.numbers(layout) if releases.is_ready(layout, number)]
    ):
        manifest = releases.read_manifest(layout, number)
        if (
            manifest.sha256 in digests
            and (manifest.installer, manifest.python) == (content.installer, platform.python_version())
            and all((layout.files / sha256 / name).exists() for sha256, name in manifest.files.items())
        ):
            return number
    return None


def _wheel(layout: Layout, file: File, tool: installer.Installer) -> Path:
    present = wheel_of(layout, file)
    if present:
        return present
    cached = file_cache.path(layout, file)
    scratch = cached.with_name(".build")
    (built,) = tool.build(cached, scratch)
    files.write_whole(cached.with_name(built.name), built.read_bytes())
    shutil.rmtree(scratch)
    return cached.with_name(built.name)


def wheel_of(layout: Layout, file: File) -> Path | None:
    """The wheel that `file` is, or that was built from it before, for all releases; None: not yet."""
    cached = file_cache.path(layout, file)
    if cached.suffix == ".whl":
        return cached
    built = [replace(file, filename=wheel.name) for wheel in cached.parent.glob("*.whl")]
    with contextlib.suppress(PackhorseError):  # it was built for another Python
        return cached.with_name(select_file(built).filename)
    return None


def _requirement(file: File, wheel: Path) -> str:
    digest = file.sha256
    if wheel.name != file.filename:
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return f"{file.project} @ {wheel.as_uri()} --hash=sha256:{digest}\n"
