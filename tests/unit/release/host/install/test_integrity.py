"""The promises of release.host.install.integrity."""

import dataclasses
import hashlib
import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.host.disk import releases
from release.host.disk.layout import Layout
from release.host.install import integrity
from tests.support import dists
from tests.support.release_folders import a_layout, a_manifest

SITE = "venv/lib/python3.11/site-packages"


def installed(
    folder: Path, change_record: Callable[[str], str] = lambda record: record
) -> tuple[Layout, Path]:
    """Release 1, installed from one wheel, and the folder of its packages."""
    layout, wheel = a_layout(folder), dists.wheel("shop", "1.0")
    wheel = dataclasses.replace(wheel, content=_with_record(wheel.content, change_record))
    sha256 = hashlib.sha256(wheel.content).hexdigest()
    site = layout.release(1) / SITE
    site.mkdir(parents=True)
    with zipfile.ZipFile(io.BytesIO(wheel.content)) as archive:
        archive.extractall(site)
    (layout.files / sha256).mkdir()
    (layout.files / sha256 / wheel.filename).write_bytes(wheel.content)
    manifest = dataclasses.replace(a_manifest(1), files={sha256: wheel.filename})
    releases.write_manifest(layout, manifest, {"SECRET": "guess"})
    return layout, site


def _with_record(wheel: bytes, change: Callable[[str], str]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive, zipfile.ZipFile(written, "w") as copy:
        for name in archive.namelist():
            content = archive.read(name)
            copy.writestr(name, change(content.decode()) if name.endswith("/RECORD") else content)
    return written.getvalue()


def code(site: Path) -> Path:
    return next(site.glob("shop/*.py"))


CHANGES: dict[str, Callable[[Path], object]] = {
    "changed": lambda site: code(site).write_text("evil"),
    "gone": lambda site: code(site).unlink(),
    "added": lambda site: (site / "evil.pth").touch(),
    "ours": lambda site: (site.parents[3] / "launch.py").write_text("evil"),
    "configuration": lambda site: (site.parents[3] / "env.json").write_text("{}"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_file_that_is_not_as_it_was_installed_is_named(
    tmp_path: Path, change: Callable[[Path], object]
) -> None:
    """Whether a wheel has it or not."""
    layout, site = installed(tmp_path)
    integrity.seal(layout, 1)
    releases.mark_ready(layout, 1)
    integrity.check(layout, 1)
    change(site)
    with pytest.raises(PackhorseError, match="Release 1 is not as it was installed"):
        integrity.check(layout, 1)


def test_what_the_installer_took_from_a_changed_cache_is_refused(tmp_path: Path) -> None:
    """uv links from its cache without a look; also where RECORD was changed with the file."""
    layout, site = installed(tmp_path)
    code(site).write_text("evil")
    next(site.glob("*/RECORD")).write_text("")
    with pytest.raises(PackhorseError) as caught:
        integrity.seal(layout, 1)
    assert f"{SITE}/shop/" in caught.value.message


def test_a_file_with_another_kind_of_hash_in_record_is_compared_with_the_wheel(tmp_path: Path) -> None:
    """RECORD may have sha384 or sha512 (PEP 376)."""
    layout, site = installed(tmp_path, lambda record: re.sub(r"sha256=[^,]+", "sha512=AAAA", record))
    integrity.seal(layout, 1)
    code(site).write_text("evil")
    with pytest.raises(PackhorseError, match="Release 1 is not as it was installed"):
        integrity.seal(layout, 1)


def test_a_release_of_an_earlier_version_is_compared_with_its_wheels(tmp_path: Path) -> None:
    """It has no hashes of its own; compiled code may be missing anywhere."""
    layout, site = installed(tmp_path)
    (site / "new.py").touch()
    integrity.check(layout, 1)
    code(site).write_text("evil")
    with pytest.raises(PackhorseError):
        integrity.check(layout, 1)


def test_hashes_are_for_their_owner_alone(tmp_path: Path) -> None:
    """A short password in env.json could be guessed from its hash."""
    layout, _ = installed(tmp_path)
    integrity.seal(layout, 1)
    assert (layout.release(1) / integrity.NAME).stat().st_mode & 0o777 == 0o600


def test_a_wheel_that_was_changed_in_the_cache_is_named(tmp_path: Path) -> None:
    """Its hash is in the manifest."""
    layout, _ = installed(tmp_path)
    (wheel,) = layout.files.glob("*/*.whl")
    wheel.write_bytes(b"evil")
    with pytest.raises(PackhorseError, match="is not the file that was downloaded"):
        integrity.check(layout, 1)
