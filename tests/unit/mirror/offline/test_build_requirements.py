"""Build requirements of sdists: read as they are, and nothing that a stranger wrote is run or followed."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from mirror.offline import build_requirements
from packhorse import sdists

PYPROJECT = b'[build-system]\nrequires = ["hatchling>=1.20", "wheel ; python_version > \'3\'"]\n'


def sdist(folder: Path, members: Mapping[str, bytes]) -> Path:
    """A tar archive with these files."""
    path = folder / "demo-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


@pytest.mark.parametrize("prefix", ["", "./"])
def test_they_stand_in_the_pyproject_at_the_top(tmp_path: Path, prefix: str) -> None:
    """Others in the archive belong to tests, or to what is vendored."""
    inner = {f"{prefix}demo-1.0/tests/pyproject.toml": b"x = 1\n"}
    path = sdist(tmp_path, {**inner, f"{prefix}demo-1.0/pyproject.toml": PYPROJECT})
    assert build_requirements.read(path) == ("hatchling>=1.20", 'wheel; python_version > "3"')


def test_a_zip_is_read_too(tmp_path: Path) -> None:
    """Old projects have such."""
    path = tmp_path / "demo-1.0.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("demo-1.0/pyproject.toml", PYPROJECT)
    assert len(build_requirements.read(path)) == 2


@pytest.mark.parametrize("members", [{"demo-1.0/setup.py": b""}, {"demo-1.0/pyproject.toml": b"[tool.x]\n"}])
def test_without_them_it_is_setuptools(tmp_path: Path, members: Mapping[str, bytes]) -> None:
    """As pip and uv do (PEP 518)."""
    assert build_requirements.read(sdist(tmp_path, members)) == ("setuptools>=40.8.0",)


@pytest.mark.parametrize(
    "requires",
    [
        b'["--index-url https://example.com/", "a"]',
        b'["-r /etc/passwd"]',
        b'["a\\n--find-links /tmp"]',
        b'["a @ https://example.com/a.whl"]',
        b"""["a ; python_version > '3\\n--index-url https://example.com/'"]""",
        b'"setuptools"',
        b"[1]",
        b"{}\nx = 1\n[build-system.more]",
    ],
)
def test_a_line_for_uv_cannot_be_slipped_in(tmp_path: Path, requires: bytes) -> None:
    """The archive comes from a stranger."""
    path = sdist(tmp_path, {"demo-1.0/pyproject.toml": b"[build-system]\nrequires = " + requires + b"\n"})
    with pytest.raises(ValueError, match=r"its (build requirement a|pyproject.toml has no list)"):
        build_requirements.read(path)


@pytest.mark.parametrize(
    "content",
    [b"no archive", gzip.compress(b"no tar", mtime=0), gzip.compress(b"x" * 999, mtime=0)[:-5], b""],
    ids=["no archive", "no tar inside", "cut off", "empty"],
)
def test_a_broken_archive_is_a_reason_in_words(tmp_path: Path, content: bytes) -> None:
    """Of the one file, while the others come."""
    path = tmp_path / "demo-1.0.tar.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"pyproject.toml"):
        build_requirements.read(path)


def test_what_unpacks_without_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive of a few kilobytes can unpack to terabytes."""
    monkeypatch.setattr(sdists, "LARGEST", 1_000_000)
    path = sdist(tmp_path, {"demo-1.0/zeros": bytes(5_000_000), "demo-1.0/pyproject.toml": PYPROJECT})
    with pytest.raises(ValueError, match="unpacks to more than"):
        build_requirements.read(path)
    monkeypatch.undo()
    monkeypatch.setattr(sdists, "LARGEST_PYPROJECT", 10)
    with pytest.raises(ValueError, match="more than a megabyte"):
        build_requirements.read(sdist(tmp_path, {"demo-1.0/pyproject.toml": PYPROJECT}))
