"""Check that a release on disk is what was installed: by the RECORD of wheels, and by hashes of all files."""

import base64
import csv
import hashlib
import io
import json
import os
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from packhorse import files
from packhorse.errors import PackhorseError
from release.host.disk import file_cache, releases
from release.host.disk.layout import Layout
from release.host.disk.manifest import File, ReleaseManifest

NAME = "hashes.json"
"""In the folder of a release: path -> sha256 of its files. For its owner alone: one is that of env.json."""
SHOWN = 5


def seal(layout: Layout, number: int) -> None:
    """Record what release `number` consists of. Raise PackhorseError if that is not what its wheels have.

    The installer links files from its cache, which it does not check again.
    """
    folder = layout.release(number)
    found = _hashes(folder)
    _refuse(number, _unlike_wheels(layout, number, found))
    files.write_whole(folder / NAME, json.dumps(found).encode(), mode=0o600)


def check(layout: Layout, number: int) -> None:
    """Raise PackhorseError with the files of release `number` that are changed, missing or added."""
    folder = layout.release(number)
    found = _hashes(folder)
    wrong = set(_unlike_wheels(layout, number, found))
    if (folder / NAME).exists():  # releases of earlier versions have none
        recorded: dict[str, str] = json.loads((folder / NAME).read_bytes())
        wrong |= {path for path, _ in recorded.items() ^ found.items() if path in found or _counts(path)}
    _refuse(number, sorted(wrong))


def added(layout: Layout, number: int) -> list[str]:
    """Paths of files that were written into release `number` after it was installed, compiled code apart."""
    folder = layout.release(number)
    if not (folder / NAME).exists():
        return []
    recorded: dict[str, str] = json.loads((folder / NAME).read_bytes())
    return sorted(path for path in _paths(folder) if path not in recorded and _counts(path))


def _counts(path: str) -> bool:
    """Whether a release is not the same without its file `path`: compiled code is made again."""
    return "__pycache__" not in PurePosixPath(path).parts


def _refuse(number: int, wrong: list[str]) -> None:
    if wrong:
        more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise PackhorseError(
            f"Release {number} is not as it was installed: {', '.join(wrong[:SHOWN])}{more}.",
            "Find out who changed it; then deploy the version again, with another configuration or after a "
            "rollback, which installs it anew.",
            detail="\n".join(wrong),
        )


def _hashes(folder: Path) -> dict[str, str]:
    """Path below `folder` -> sha256 of the file, or the target of a link.

    In one thread: most files are small, and handing them to others takes twice as long as hashing them.
    """
    return {path: _hash(folder / path) for path in _paths(folder)}


def _paths(folder: Path) -> Iterator[str]:
    """Files and links below the folder of a release, but for those that are written last."""
    for where, folders, names in os.walk(folder):
        links = [name for name in folders if Path(where, name).is_symlink()]
        for name in [*names, *links]:
            path = f"{where}/{name}"[len(str(folder)) + 1 :]
            if path not in {NAME, releases.READY}:
                yield path


def _hash(path: Path) -> str:
    if path.is_symlink():
        return str(path.readlink())
    return hashlib.sha256(path.read_bytes()).hexdigest()


@dataclass(frozen=True)
class _Wheel:
    """A wheel in the cache; `record`: path below site-packages -> sha256 of what is installed as it is."""

    content: bytes
    record: Mapping[str, str]

    def has(self, path: str, digest: str) -> bool:
        """Whether its own file at `path` has this sha256: some builders write a wrong RECORD."""
        with zipfile.ZipFile(io.BytesIO(self.content)) as archive:
            return hashlib.sha256(archive.read(path)).hexdigest() == digest


def _unlike_wheels(layout: Layout, number: int, found: Mapping[str, str]) -> list[str]:
    """The files that are not what a wheel of the release has there. Two wheels may have the same file."""
    manifest = releases.read_manifest(layout, number)
    site = next(layout.release(number).glob("venv/lib/python*/site-packages"), None)
    prefix = f"{site.relative_to(layout.release(number))}/" if site else ""
    right: dict[str, bool] = {}
    for wheel in _wheels(layout, manifest):
        for path, digest in wheel.record.items():
            there = found.get(prefix + path, "")
            same = there == digest or (there != "" and wheel.has(path, there))
            right[prefix + path] = right.get(prefix + path, False) or same
    return sorted(path for path, same in right.items() if not same)


def _wheels(layout: Layout, manifest: ReleaseManifest) -> Iterator[_Wheel]:
    """The wheels that the release was installed from, as long as the cache has them unchanged.

    What was built here from an sdist has no hash but in hashes.json.
    """
    for sha256, filename in manifest.files.items():
        path = file_cache.path(layout, File("", filename, sha256))
        if path.suffix == ".whl" and path.exists():
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() != sha256:
                raise PackhorseError(
                    f"{path} is not the file that was downloaded.",
                    "Find out who changed it; remove it, and deploy again.",
                )
            yield _Wheel(content, dict(_record(content)))


def _record(wheel: bytes) -> Iterator[tuple[str, str]]:
    """Path and sha256 of the files of a wheel that are installed as they are (PEP 427).

    RECORD may have another algorithm (PEP 376 allows all of hashlib's): then the sha256 is of the member.
    """
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        names = set(archive.namelist())
        (record,) = [name for name in names if re.fullmatch(r"[^/]+\.dist-info/RECORD", name)]
        for row in csv.reader(io.TextIOWrapper(archive.open(record), "utf-8")):
            path, digest = [*row, "", ""][:2]  # some tools end lines twice
            kind, _, value = digest.partition("=")
            if digest and path in names and not path.partition("/")[0].endswith(".data"):
                is_stated = kind == "sha256"
                stated = base64.urlsafe_b64decode(f"{value}==") if is_stated else b""
                yield path, stated.hex() if is_stated else hashlib.sha256(archive.read(path)).hexdigest()
