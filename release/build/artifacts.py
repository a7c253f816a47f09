"""Build a project's wheel and sdist with pypa/build, with its lock, Procfile and manifest inside."""

import dataclasses
import email
import hashlib
import json
import platform
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from packhorse import files, sbom
from packhorse.errors import PackhorseError
from release import index, signing
from release.build import (
    advisories,
    contents,
    data_paths,
    host_platform,
    import_check,
    lock,
    project_files,
    repack,
    sdists,
    source_tree,
)
from release.context import Context
from release.host.formats import artifact, lockfile, procfile

WHEEL, SDIST = "wheel", "sdist"


@dataclass(frozen=True)
class Built:
    """A finished artifact."""

    kind: str
    path: Path
    size: int
    sha256: str


@dataclass(frozen=True)
class Result:
    """Result of `release build`; `lock_is_new`: there was none in the project before.

    `warnings` are sentences about what the wheel seems to lack.
    """

    manifest: artifact.BuildManifest
    artifacts: list[Built]
    lock: Path
    lock_is_new: bool
    warnings: list[str]

    @property
    def library(self) -> bool:
        """Whether it has no Procfile, and cannot be deployed."""
        return not self.manifest.lock_sha256

    def as_json(self) -> dict[str, Any]:
        """The result for scripts."""
        return {
            **{key: getattr(self.manifest, key) for key in ("name", "version", "commit", "dirty")},
            "library": self.library,
            "warnings": self.warnings,
            "artifacts": [{**dataclasses.asdict(item), "path": str(item.path)} for item in self.artifacts],
        }


def build(
    folder: Path, outdir: Path, kinds: Iterable[str], context: Context, key: Path | None = None
) -> Result:
    """Build `kinds` (WHEEL, SDIST) of the project in `folder`; they appear whole in `outdir`, or not at all.

    The same commit gives the same bytes, signatures by the ssh key `key` apart. Raises PackhorseError for
    whatever would fail later, at upload or on a host: no valid Procfile, no fitting lock, a version that the
    index has already.
    """
    source_tree.pyproject(folder)
    commands = _procfile(folder, context)
    index.require(context.index_url, context.get)
    lock_is_new = bool(commands) and not (folder / lockfile.NAME).exists()
    locked = _lock(folder, context) if commands else b""
    source, tracked = source_tree.commit(folder, context.run), source_tree.files(folder, context.run)
    beside = project_files.find(folder, context.files, tracked)
    pylock = lockfile.parse(locked, lockfile.NAME) if commands else None
    parts = sbom.of_lock(pylock) if pylock else []
    vulnerable = advisories.ask(parts, context.index_url, context.get)
    with tempfile.TemporaryDirectory(prefix="packhorse-build-") as scratch:
        work = Path(scratch)
        made = _run_backend(folder, work, source.epoch, context)
        wheels = sdists.wheels(folder, source.epoch, work, context) if commands else {}
        manifest = _manifest(made[WHEEL], source, locked, wheels, beside)
        stamped = {f"{artifact.FILES}/{path}": file.content for path, file in beside.items()}
        stamped |= {procfile.NAME: commands, lockfile.NAME: locked} if commands else {}
        programs = [f"{artifact.FILES}/{path}" for path, file in beside.items() if file.executable]
        bill = sbom.document(sbom.of_metadata(_metadata(made[WHEEL])), parts)
        stamps = _Stamps(stamped, programs, manifest, wheels, bill, source.epoch, work / "stamped", key)
        built = [_stamp(made, kind, stamps) for kind in (SDIST, WHEEL) if kind in set(kinds)]
        digests = {item.path.name: item.sha256 for item in built}
        index.missing(context.index_url, manifest.name, digests, context.get)
        warnings = [*contents.left_out(made[WHEEL], tracked, beside.keys())]
        if pylock:
            processes = procfile.parse(commands, procfile.NAME)
            application = import_check.BuiltApplication(made[WHEEL], processes, pylock, wheels, beside)
            warnings += _warnings(application, tracked, work / "check", context)
        warnings += vulnerable()
        published = [_publish(item, outdir) for item in built]
    return Result(manifest, published, folder / lockfile.NAME, lock_is_new, warnings)


def _lock(folder: Path, context: Context) -> bytes:
    locked = lock.committed(folder, context)
    sdists.lock_requirements(folder, context, renew=False)
    return locked


def _warnings(
    application: import_check.BuiltApplication, tracked: list[str], scratch: Path, context: Context
) -> Iterator[str]:
    """Warnings about what would fail on hosts only."""
    wheel, processes, beside = application.wheel, application.processes, application.beside
    yield from contents.warnings(wheel, tracked, processes, beside.keys())
    sources = [*contents.modules(wheel), *((path, file.content) for path, file in beside.items())]
    yield from data_paths.warnings(sources, processes, context.values)
    yield from project_files.warnings(beside)
    if context.static and not any(artifact.static_files(wheel, context.static)):
        yield f"The wheel has no files in {context.static}, which [static] in release.toml names."
    pythons = context.pythons or [f"{sys.version_info[0]}.{sys.version_info[1]}"]
    yield from host_platform.warnings(application.lock, pythons, context.sdists)
    served = contents.served(wheel, processes.values())
    if context.check and served:
        scratch.mkdir()
        yield from import_check.warnings(application, served, scratch, context)


def _procfile(folder: Path, context: Context) -> bytes:
    """The Procfile; empty for a library, which has none."""
    path = folder / procfile.NAME
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        if context.files:
            raise PackhorseError(
                f"{folder}: there is no Procfile, but files in release.toml.",
                'Write one, with a line such as: web: gunicorn "myapp:create_app()"',
            ) from None
        return b""
    procfile.parse(data, str(path))
    return data


def _run_backend(folder: Path, scratch: Path, epoch: int, context: Context) -> dict[str, Path]:
    """Run pypa/build and return the artifact of each kind. The wheel comes from the sdist, never
    from the folder: setuptools would put leftovers in build/lib into it.
    """
    report = scratch / "report.json"
    options = ["--outdir", str(scratch), "--report", str(report), "--installer", "uv"]
    # Sets of strings are ordered by hash: a backend that writes one down would give other bytes each time.
    environment = {**context.environment, "SOURCE_DATE_EPOCH": str(epoch), "PYTHONHASHSEED": "0"}
    done = context.run([sys.executable, "-Im", "build", *options, str(folder)], env=environment)
    if done.status != 0:
        raise source_tree.broken_backend(folder, done)
    made = json.loads(report.read_bytes())["artifacts"]
    return {item["kind"]: scratch / item["name"] for item in made}


def _manifest(
    wheel: Path,
    source: source_tree.Commit,
    locked: bytes,
    wheels: Mapping[str, bytes],
    beside: Mapping[str, artifact.ProjectFile],
) -> artifact.BuildManifest:
    metadata = email.message_from_bytes(_metadata(wheel))
    tools = {tool: version(tool) for tool in ("packhorse", "build", "uv")}
    return artifact.BuildManifest(
        name=metadata["Name"],
        version=metadata["Version"],
        commit=source.commit,
        dirty=source.dirty,
        committer=source.committer,
        builder={**tools, "python": platform.python_version()},
        lock_sha256=hashlib.sha256(locked).hexdigest() if locked else "",
        requires_python=metadata["Requires-Python"],
        wheels=_digests(wheels),
        files=_digests({path: file.content for path, file in beside.items()}),
    )


def _digests(wheels: Mapping[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in wheels.items()}


def _metadata(path: Path) -> bytes:
    with zipfile.ZipFile(path) as wheel:
        return wheel.read(f"{repack.dist_info(wheel)}/METADATA")


@dataclass(frozen=True)
class _Stamps:
    """Content to add to artifacts: `files` and `wheels` (name -> content), manifest, signature by `key`.

    `programs` are names of `files` that can be executed; `bill` is the bill of materials, for wheels.
    """

    files: dict[str, bytes]
    programs: list[str]
    manifest: artifact.BuildManifest
    wheels: dict[str, bytes]
    bill: bytes
    epoch: int
    folder: Path
    key: Path | None


def _stamp(made: Mapping[str, Path], kind: str, stamps: _Stamps) -> Built:
    """Write the artifact of `kind` with what belongs inside; an sdist gets its own wheel, too."""
    stamps.folder.mkdir(exist_ok=True)
    target = stamps.folder / made[kind].name
    if kind == WHEEL:
        added = {**stamps.files, **_stamped_wheels(stamps.manifest, stamps.wheels), sbom.NAME: stamps.bill}
        repack.wheel(made[WHEEL], target, added, stamps.epoch, stamps.programs)
    else:
        plain = stamps.folder / "plain.whl"
        repack.wheel(made[WHEEL], plain, {}, stamps.epoch)
        wheels = {**stamps.wheels, made[WHEEL].name: plain.read_bytes()}
        added = {**stamps.files, **_stamped_wheels(stamps.manifest, wheels)}
        repack.sdist(made[SDIST], target, added, stamps.epoch, stamps.programs)
    if stamps.key:
        signing.sign(target, stamps.key)
    if stamps.manifest.lock_sha256:
        artifact.read(target)  # what a host will read
    with target.open("rb") as file:
        return Built(kind, target, target.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def _stamped_wheels(manifest: artifact.BuildManifest, wheels: Mapping[str, bytes]) -> dict[str, bytes]:
    """The manifest that names `wheels`, and these."""
    named = dataclasses.replace(manifest, wheels=_digests(wheels))
    inside = {f"{artifact.WHEELS}/{name}": content for name, content in wheels.items()}
    return {artifact.MANIFEST: named.encode(), **inside}


def _publish(item: Built, outdir: Path) -> Built:
    outdir.mkdir(parents=True, exist_ok=True)
    target = outdir / item.path.name
    files.write_whole(target, item.path.read_bytes())
    return Built(item.kind, target, item.size, item.sha256)
