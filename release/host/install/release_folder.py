"""Install a release: download and verify its files, make its virtualenv, write its manifest."""

import contextlib
import hashlib
import os
import platform
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packhorse import files
from packhorse.errors import PackhorseError
from release.host.control.session import Session
from release.host.disk import file_cache, journal, releases, static_files
from release.host.disk.layout import Layout
from release.host.disk.manifest import NO_JOB_NAMES, Content, File, Job, ReleaseManifest, ReleaseSpec
from release.host.install import bytecode, installer, integrity, verification
from release.host.install.interpreter import Interpreter
from release.host.runtime import launch

if TYPE_CHECKING:
    from packaging.tags import Tag

    from release.host.formats import artifact


def select_file(offered: Sequence[File], python: Interpreter) -> File:
    """Select the file to install on `python`: the best compatible wheel, else the sdist."""
    from packaging.utils import parse_wheel_filename

    rank = {tag: position for position, tag in enumerate(_tags(python))}
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
            f"No uploaded file fits Python {python.version} on {platform.machine()}: {names}.",
            "Upload an sdist or a wheel for this platform: release build, release upload",
        )
    return min(ranked, key=lambda pair: pair[0])[1]


def _tags(python: Interpreter) -> "list[Tag]":
    from packaging.tags import Tag, sys_tags

    return [*sys_tags()] if python.tags is None else [Tag(*tag) for tag in python.tags]


def install(layout: Layout, spec: ReleaseSpec, file: File, python: Interpreter, session: Session) -> None:
    """Install the release `spec` from `file` with `python`; nothing of it stays when that fails.

    Raises PackhorseError, or OSError for the disk.
    """
    number, content = spec.number, spec.content
    try:
        session.step("fetch", f"Fetching {file.filename} and what it needs")
        file_cache.fetch(layout, [file], _index(spec), session)
        signer = _verify(layout, spec, file)
        contents, needed, wheels = _fetch(layout, spec, file, python, session)
        session.step("install", f"Installing {len(wheels) - 1} locked packages and {file.filename}")
        layout.release(number).mkdir()
        _install(layout, spec, wheels, python, session)
        _write_files(layout, number, file, contents.manifest.files)
        if content.static:
            _write_static(layout, number, content.static, wheels[-1], session)
        session.checkpoint("ready")
        manifest = _manifest(
            *(spec, file, contents),
            signer=signer,
            python=python.version,
            files={each.sha256: each.filename for each in needed},
        )
        releases.write_manifest(layout, manifest, content.env, content.config)
        integrity.seal(layout, number)
        releases.mark_ready(layout, number)
        if not layout.separate:
            releases.protect(layout, number)
        static_files.publish(layout)
    except BaseException:
        with contextlib.suppress(OSError):  # the next command removes what a broken disk keeps
            releases.remove(layout, number)
        raise


def _manifest(
    spec: ReleaseSpec,
    file: File,
    contents: "artifact.Contents",
    **here: Any,  # noqa: ANN401  # its other fields
) -> ReleaseManifest:
    """The manifest of release `spec` from `file`; `here`: fields that this host has found out."""
    content = spec.content
    return ReleaseManifest(
        release=spec.number,
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
        by=spec.by,
        at=journal.now(),
        rules=content.rules,
        origin=spec.origin or spec.number,
        offered={each.sha256: each.filename for each in content.files},
        required=content.required,
        required_python=content.python,
        jobs=content.jobs,
        static=content.static,
        **here,
    )


def _verify(layout: Layout, spec: ReleaseSpec, file: File) -> str | None:
    """The key that has signed the artifact, if one has to. Raises PackhorseError.

    For a rollback to what was installed here before, and for another configuration of it, goes what was
    required then: a rollback is the way out of trouble.
    """
    ready = [releases.read_manifest(layout, number) for number in releases.ready(layout)]
    installed = {manifest.sha256: manifest for manifest in ready}
    if spec.unless_installed and file.sha256 in installed:
        return installed[file.sha256].signer
    return verification.verify(file_cache.path(layout, file), spec.signers) if spec.signers else None


def _index(spec: ReleaseSpec) -> file_cache.Index | None:
    return file_cache.Index(spec.index_url, spec.index_token) if spec.index_url else None


def _fetch(
    layout: Layout, spec: ReleaseSpec, file: File, python: Interpreter, session: Session
) -> "tuple[artifact.Contents, list[File], list[File]]":
    """Read the artifact, which is in the cache, and download the wheels that it needs here.

    Returns its contents, all files that the release needs in the cache, and the wheels to install, with URLs.
    """
    from release.host.formats import artifact, lockfile

    contents = artifact.read(file_cache.path(layout, file))
    artifact.require(contents, spec.content.project, spec.content.version, file.filename)
    _check_python(contents, file, python)
    _check_jobs(spec.content.jobs, contents.processes)
    where = f"{file.filename}: {lockfile.NAME}"
    locked = lockfile.select(contents.lock, where, python.environment, _tags(python))
    packages = [*(File(*names) for names in locked), file]
    built = {package: _built_wheel(layout, file, contents, package, python) for package in packages}
    file_cache.fetch(layout, [package for package in packages if not built[package]], _index(spec), session)
    here = [package for package in packages if file_cache.path(layout, package).exists()]
    wheels = [
        built[package] or replace(package, url=file_cache.path(layout, package).as_uri())
        for package in packages
    ]
    return contents, [*here, *wheels], wheels


def _built_wheel(
    layout: Layout, artifact_file: File, contents: "artifact.Contents", package: File, python: Interpreter
) -> File | None:
    """The wheel for `package` if that is an sdist, None if it is a wheel: hosts build nothing.

    `release build` put it into the artifact, or an older Packhorse built it here, for a release before.
    Raises PackhorseError when there is none that fits.
    """
    from release.host.formats import artifact

    if package.filename.endswith(".whl"):
        return None
    inside = [(name, sha) for name, sha in contents.manifest.wheels.items() if _is_built_from(name, package)]
    before = {path.name: path for path in file_cache.path(layout, package).parent.glob("*.whl")}
    offered = [File(package.project, *each) for each in inside]
    offered += [File(package.project, name, _sha256(path.read_bytes())) for name, path in before.items()]
    try:
        wheel = select_file(offered, python)
    except PackhorseError as error:
        names = [name for name, _ in inside]
        raise _no_wheel(package, names, python, is_application=package == artifact_file) from error
    place = file_cache.path(layout, wheel)
    if not place.exists():
        found = (wheel.filename, wheel.sha256) in inside
        path = file_cache.path(layout, artifact_file)
        data = artifact.embedded_wheel(path, wheel.filename) if found else before[wheel.filename].read_bytes()
        if _sha256(data) != wheel.sha256:
            raise PackhorseError(
                f"{artifact_file.filename}: its {wheel.filename} was changed after the build.",
                "Build it with: release build",
            )
        place.parent.mkdir(exist_ok=True)
        files.write_whole(place, data)
    return replace(wheel, url=place.as_uri())


def _is_built_from(wheel: str, sdist: File) -> bool:
    """Whether the file name `wheel` is of the same version of the same project as `sdist`."""
    from packaging.utils import (
        InvalidName,
        InvalidSdistFilename,
        InvalidWheelFilename,
        parse_sdist_filename,
        parse_wheel_filename,
    )

    try:
        return parse_wheel_filename(wheel)[:2] == parse_sdist_filename(sdist.filename)
    except (InvalidName, InvalidSdistFilename, InvalidWheelFilename):
        return False


def _no_wheel(
    package: File, inside: Sequence[str], python: Interpreter, *, is_application: bool
) -> PackhorseError:
    here = f"Python {python.version} on {platform.machine()}"
    if inside:
        return PackhorseError(
            f"{', '.join(inside)} was built from {package.filename}, and does not fit {here}.",
            "Run release build with the Python and on the platform of the hosts.",
        )
    if is_application:
        return PackhorseError(
            f"{package.filename} has no wheel inside, and hosts build nothing.",
            "Upload a wheel of this version, too: release build --wheel, then release upload",
        )
    return PackhorseError(
        f"No wheel of {package.project} fits {here}; hosts do not build its {package.filename}.",
        f'Build it with the application: sdists = ["{package.project}"] in release.toml, then release lock.',
    )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _check_jobs(jobs: Collection[Job], processes: Collection[str]) -> None:
    """Raise PackhorseError for a job whose log would be that of something else."""
    for name in sorted({job.name for job in jobs} & {*processes, *NO_JOB_NAMES}):
        raise PackhorseError(
            f"The job {name} has the name of a process type, or of another log.",
            "Give it another name in release.toml: targets.….jobs",
        )


def _check_python(contents: "artifact.Contents", file: File, python: Interpreter) -> None:
    from packaging.specifiers import SpecifierSet

    required = contents.manifest.requires_python
    if required and not SpecifierSet(required).contains(python.version, prereleases=True):
        raise PackhorseError(
            f"{file.filename} needs Python {required}, this host would run it with {python.version}.",
            'Choose one by python = "3.…" for the target in release.toml, or build for this one.',
        )


def _install(
    layout: Layout, spec: ReleaseSpec, wheels: Sequence[File], python: Interpreter, session: Session
) -> None:
    """Make the virtualenv from `wheels`, which are on this host."""
    tool = installer.Installer(layout, layout.release(spec.number), spec, python, session)
    tool.make()
    lines = [f"{wheel.project} @ {wheel.url} --hash=sha256:{wheel.sha256}\n" for wheel in wheels]
    files.write_whole(tool.requirements, "".join(lines).encode())
    tool.fill()
    before = same_content(layout, spec.content, python) or releases.current(layout)
    if before is not None:
        bytecode.share(layout.release(before) / "venv", tool.venv)
    bytecode.compile_rest(tool.venv, layout.cache / "sources.txt", python, session)


def _write_files(layout: Layout, number: int, file: File, expected: Mapping[str, str]) -> None:
    """Make the working directory, with the files (path -> sha256) that the artifact has for it.

    Processes may read what is there, and write nothing.
    """
    from release.host.formats import artifact

    work = layout.release(number) / launch.WORK
    work.mkdir()
    try:
        for path, content in artifact.project_files(file_cache.path(layout, file), expected):
            target = work / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as new:
                new.write(content.content)
            target.chmod(0o555 if content.executable else 0o444)
    except (FileExistsError, NotADirectoryError) as error:
        raise PackhorseError(
            f"{file.filename}: {error.filename} is there already.", "Build it with: release build"
        ) from error
    for folder, _, _ in os.walk(work):
        Path(folder).chmod(0o555)


def _write_static(layout: Layout, number: int, folder: str, wheel: File, session: Session) -> None:
    """Make the folder of the static files, with those in `folder` of the application's own `wheel`.

    nginx makes ETag and Last-Modified of time and size: so that they are the same on all hosts, and others
    for other content, the time is one of past decades that stands for the content.
    """
    from release.host.formats import artifact

    place = layout.static_of(number)
    place.mkdir()
    for path, content in artifact.static_files(file_cache.path(layout, wheel), folder):
        target = place / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as new:
                new.write(content)
        except (FileExistsError, NotADirectoryError) as error:
            raise PackhorseError(
                f"{wheel.filename}: {error.filename} is there already.", "Build it with: release build"
            ) from error
        target.chmod(0o444)
        stamp = zlib.crc32(content) % 2**30
        os.utime(target, (stamp, stamp))
    if not any(place.iterdir()):
        session.warn(f"{wheel.filename} has no files in {folder}, which [static] in release.toml names")


def same_content(layout: Layout, content: Content, python: Interpreter) -> int | None:
    """The newest release with the files that `content` needs with `python`, if the cache still has all."""
    digests = {file.sha256 for file in content.files}
    for number in reversed(releases.ready(layout)):
        manifest = releases.read_manifest(layout, number)
        if (
            manifest.sha256 in digests
            and (manifest.installer, manifest.python) == (content.installer, python.version)
            and all((layout.files / sha256 / name).exists() for sha256, name in manifest.files.items())
        ):
            return number
    return None
