"""The promises of release.build.repack."""

import tarfile
import zipfile
from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.build import repack
from tests.support import built_dists

STAMPED = {"Procfile": b"web: run\n", "pylock.toml": b"lock", "packhorse.json": b"{}\n"}
EPOCH = 1_700_000_001  # an odd second: zip knows even ones only


def stamped_wheel(folder: Path, source: Path) -> Path:
    folder.mkdir()
    repack.wheel(source, folder / source.name, STAMPED, EPOCH)
    return folder / source.name


def stamped_sdist(folder: Path, source: Path) -> Path:
    folder.mkdir()
    repack.sdist(source, folder / source.name, {"packhorse.json": b"{}\n"}, EPOCH)
    return folder / source.name


def test_the_stamped_files_are_in_dist_info_and_the_rest_is_as_it_was(tmp_path: Path) -> None:
    """An installer puts them beside METADATA; the code is the backend's."""
    with zipfile.ZipFile(stamped_wheel(tmp_path / "out", built_dists.wheel(tmp_path))) as wheel:
        for name, content in STAMPED.items():
            assert wheel.read(f"sample_app-0.1.0.dist-info/{name}") == content
        assert wheel.read("sample_app/__init__.py") == b"x = 1\n"
        assert wheel.namelist()[-1] == "sample_app-0.1.0.dist-info/RECORD"


def test_record_describes_every_file(tmp_path: Path) -> None:
    """pip and uv check it; a wrong RECORD also makes an uninstall leave files behind."""
    assert built_dists.record_problems(built_dists.wheel(tmp_path)) != []
    assert built_dists.record_problems(stamped_wheel(tmp_path / "out", built_dists.wheel(tmp_path))) == []


def test_order_times_and_modes_of_the_backend_do_not_reach_the_wheel(tmp_path: Path) -> None:
    """Same content, same bytes: another day, another umask, another file system."""
    one = stamped_wheel(tmp_path / "1", built_dists.wheel(tmp_path))
    two = stamped_wheel(tmp_path / "2", built_dists.wheel(tmp_path, backwards=True, seconds=30))
    assert one.read_bytes() == two.read_bytes()


def test_the_time_of_the_build_is_in_neither_artifact(tmp_path: Path) -> None:
    """Two builds within a second are equal by luck: here the time itself is looked at."""
    with zipfile.ZipFile(stamped_wheel(tmp_path / "wheel", built_dists.wheel(tmp_path))) as wheel:
        assert {entry.date_time for entry in wheel.infolist()} == {(2023, 11, 14, 22, 13, 20)}
    packed = stamped_sdist(tmp_path / "sdist", built_dists.sdist(tmp_path)).read_bytes()
    assert packed[4:8] == bytes(4)  # MTIME in the header of gzip (RFC 1952)


def test_what_was_executable_stays_executable(tmp_path: Path) -> None:
    """Only the bit counts, not who may read."""
    with zipfile.ZipFile(stamped_wheel(tmp_path / "out", built_dists.wheel(tmp_path))) as wheel:
        modes = {entry.filename: entry.external_attr >> 16 for entry in wheel.infolist()}
    assert modes["sample_app-0.1.0.data/scripts/run"] == 0o100755
    assert modes["sample_app/__init__.py"] == 0o100644


def test_a_wheel_without_one_dist_info_is_refused(tmp_path: Path) -> None:
    """Two would make it a matter of order which lock counts."""
    path = built_dists.wheel(tmp_path)
    with zipfile.ZipFile(path, "a") as wheel:
        wheel.writestr("other-1.dist-info/METADATA", "")
    with pytest.raises(
        PackhorseError, match=r"there are 2 \(other-1\.dist-info, sample_app-0\.1\.0\.dist-info\)"
    ):
        stamped_wheel(tmp_path / "out", path)


def test_the_manifest_is_at_the_root_of_an_sdist(tmp_path: Path) -> None:
    """Procfile and lock come from the project, the manifest from us."""
    with tarfile.open(stamped_sdist(tmp_path / "out", built_dists.sdist(tmp_path))) as sdist:
        assert sdist.getnames() == sorted(sdist.getnames())
        assert {entry.mtime for entry in sdist} == {EPOCH}
        manifest = sdist.extractfile("sample_app-0.1.0/packhorse.json")
        again = sdist.extractfile("sample_app-0.1.0/again.sh")
        assert manifest
        assert manifest.read() == b"{}\n"
        assert again
        assert again.read() == b"run\n"


def test_owners_and_times_of_the_builder_do_not_reach_the_sdist(tmp_path: Path) -> None:
    """Neither the name of who built it nor the day is part of a release."""
    one = stamped_sdist(tmp_path / "1", built_dists.sdist(tmp_path))
    two = stamped_sdist(tmp_path / "2", built_dists.sdist(tmp_path, uid=1000))
    assert one.read_bytes() == two.read_bytes()
    with tarfile.open(one) as sdist:
        assert {(entry.uid, entry.uname) for entry in sdist} == {(0, "")}
        assert {oct(entry.mode) for entry in sdist} == {"0o755", "0o644"}
