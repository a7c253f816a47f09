"""Build wheels of dependencies that are locked as sdists: once, here, for all hosts, which build nothing."""

import hashlib
import io
import sys
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from packaging.pylock import Package, Pylock

from packhorse import files, process, toml
from packhorse.errors import PackhorseError
from packhorse.sdists import pyproject
from release import index
from release.build import lock, repack, source_tree
from release.context import Context
from release.host.formats import lockfile

# What PEP 517 says of a project that names no build requirements.
_DEFAULT_REQUIRES = ["setuptools>=40.8.0"]


def locked(pylock: Pylock, context: Context) -> Iterator[Package]:
    """The packages of `pylock` to build here. Raises PackhorseError for one that is locked as wheels only."""
    for package in pylock.packages:
        if package.name in context.sdists:
            if package.sdist is None:
                raise PackhorseError(
                    f"{package.name} is to be built from source (sdists), but is locked as wheels only.",
                    "Renew the lock and commit it: release lock",
                )
            yield package


def lock_requirements(folder: Path, context: Context, *, renew: bool, upgrade: bool = False) -> list[str]:
    """Lock what the builds need, into a pylock.build-NAME.toml each; with `renew` also where there is one.

    The lock of the project in `folder` is there. Returns a line for each file that is new or changed.
    """
    written = []
    for package in locked(_pylock(folder), context):
        path = _lock_path(folder, package)
        if path.exists() and not renew:
            continue
        requires = [*_build_requires(_fetch(package, context), str(package.name)), *context.build_requires]
        existing = path.read_bytes() if path.exists() and not upgrade else None
        inputs = source_tree.LockInputs(tuple(requires), f">={sys.version_info[0]}.{sys.version_info[1]}")
        text = lock.resolve(inputs, existing, context)
        if not path.exists() or path.read_bytes() != text:
            files.write_whole(path, text)
            written.append(f"{path.name}: what the build of {package.name} needs")
    return written


def wheels(folder: Path, epoch: int, scratch: Path, context: Context) -> dict[str, bytes]:
    """File name and content of the wheel of each package to build; nothing is built twice."""
    packages = locked(_pylock(folder), context)
    return dict(_wheel(folder, package, epoch, scratch, context) for package in packages)


def _pylock(folder: Path) -> Pylock:
    path = folder / lockfile.NAME
    return lockfile.parse(path.read_bytes(), str(path))


def _wheel(folder: Path, package: Package, epoch: int, scratch: Path, context: Context) -> tuple[str, bytes]:
    assert package.sdist  # noqa: S101  # see locked
    path = _lock_path(folder, package)
    requirements = "\n".join(lockfile.requirements(lockfile.parse(path.read_bytes(), str(path)), str(path)))
    built_from = f"{package.sdist.hashes['sha256']}\n{sys.version}\n{sys.platform}\n{requirements}"
    kept = context.home / "cache" / "built" / hashlib.sha256(built_from.encode()).hexdigest()
    if not kept.is_dir() or not (present := list(kept.glob("*.whl"))):
        work = scratch / str(package.name)
        work.mkdir()
        repacked = _build(package, requirements, epoch, work, context)
        kept.mkdir(parents=True, exist_ok=True)
        files.write_whole(kept / repacked.name, repacked.read_bytes())
        present = [kept / repacked.name]
    return present[0].name, present[0].read_bytes()


def _build(package: Package, requirements: str, epoch: int, work: Path, context: Context) -> Path:
    """Build in a folder `work` of its own, with the locked build requirements only."""
    assert package.sdist  # noqa: S101  # see locked
    sdist, constraints, outdir = work / package.sdist.filename, work / "requires.txt", work / "built"
    sdist.write_bytes(_fetch(package, context))
    constraints.write_text(requirements, encoding="utf-8")
    command = [
        *(sys.executable, "-Im", "uv", "build", "--wheel", "--python", sys.executable),
        *("--build-constraints", str(constraints), "--require-hashes", "--out-dir", str(outdir), str(sdist)),
    ]
    environment = {**context.environment, "SOURCE_DATE_EPOCH": str(epoch), "PYTHONHASHSEED": "0"}
    done = context.run(command, cwd=work, env=environment)
    if done.status != 0:
        raise process.failure(
            done,
            f"{package.sdist.filename} was not built.",
            "The output above names the cause: a compiler or headers; for a build requirement that is not "
            "locked, add it to build_requires in release.toml, then: release lock",
        )
    (made,) = outdir.glob("*.whl")
    target = work / made.name
    repack.wheel(made, target, {}, epoch)
    return target


def _lock_path(folder: Path, package: Package) -> Path:
    return folder / f"pylock.build-{package.name}.toml"


def _fetch(package: Package, context: Context) -> bytes:
    assert package.sdist  # noqa: S101  # see locked
    digest = str(package.sdist.hashes.get("sha256")).lower()
    return index.download(context.index_url, str(package.name), digest, context.get)


def _build_requires(sdist: bytes, name: str) -> list[str]:
    """`build-system.requires` in the pyproject.toml of an sdist (PEP 518). Raises PackhorseError."""
    try:
        table = toml.parse(pyproject(io.BytesIO(sdist)).decode())
        return [str(line) for line in table.get("build-system", {}).get("requires", _DEFAULT_REQUIRES)]
    except (tarfile.TarError, zlib.error, OSError, EOFError, ValueError, AttributeError, TypeError) as error:
        raise PackhorseError(
            f"The sdist of {name} cannot be read: {error}", "Take another version, or one with wheels."
        ) from error
