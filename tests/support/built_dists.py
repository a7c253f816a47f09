"""Wheels and sdists like those of a build backend, and an independent check of a wheel's RECORD."""

import base64
import csv
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

METADATA = "Metadata-Version: 2.4\nName: Sample-App\nVersion: 0.1.0\nRequires-Python: >=3.11\n"


def wheel(folder: Path, *, backwards: bool = False, seconds: int = 0) -> Path:
    """A wheel with a module, a script that is executable, and a wrong RECORD; in either order."""
    path = folder / "sample_app-0.1.0-py3-none-any.whl"
    files = {
        "sample_app/__init__.py": (0o600, b"x = 1\n"),
        "sample_app-0.1.0.data/scripts/run": (0o700, b"#!python\n"),
        "sample_app-0.1.0.dist-info/METADATA": (0o640, METADATA.encode()),
        "sample_app-0.1.0.dist-info/RECORD": (0o640, b"wrong,,\n"),
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name in sorted(files, reverse=backwards):
            mode, content = files[name]
            entry = zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, seconds))
            entry.external_attr = (0o100000 | mode) << 16
            archive.writestr(entry, content)
    return path


def sdist(folder: Path, files: Mapping[str, bytes] | None = None, *, uid: int = 0) -> Path:
    """An sdist with `files` at its root, an executable, and a second name of the same file."""
    path = folder / "sample_app-0.1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in {"run.sh": b"run\n", "PKG-INFO": METADATA.encode(), **(files or {})}.items():
            entry = tarfile.TarInfo(f"sample_app-0.1.0/{name}")
            entry.size, entry.uid, entry.uname, entry.mtime = len(content), uid, f"user{uid}", 1000 + uid
            entry.mode = 0o700 if name == "run.sh" else 0o600
            archive.addfile(entry, io.BytesIO(content))
        link = tarfile.TarInfo("sample_app-0.1.0/again.sh")
        link.type, link.linkname, link.mode = tarfile.LNKTYPE, "sample_app-0.1.0/run.sh", 0o700
        archive.addfile(link)
    return path


def record_problems(path: Path) -> list[str]:
    """What RECORD says wrongly (binary distribution format): files missing from it, hashes, sizes."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    record = next(name for name in content if name.endswith(".dist-info/RECORD"))
    rows = list(csv.reader(io.StringIO(content[record].decode())))
    problems = [f"{name} is missing" for name in content if name not in {row[0] for row in rows}]
    for name, digest, size in rows:
        if name == record:
            problems += [f"{record} has a hash"] if digest or size else []
            continue
        if name not in content:
            problems.append(f"{name} is not in the wheel")
            continue
        computed = base64.urlsafe_b64encode(hashlib.sha256(content[name]).digest()).decode().rstrip("=")
        if digest != f"sha256={computed}" or int(size) != len(content[name]):
            problems.append(f"{name} is described wrongly")
    return problems
