"""The newest fitting archive of python-build-standalone is chosen for each kind of processor."""

from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.provision import python_builds


def test_the_newest_build_of_a_version_is_chosen_for_each_kind_of_processor(tmp_path: Path) -> None:
    """3.13.10 is newer than 3.13.9; builds for other systems, and debugging ones, are none."""
    for name in (
        "cpython-3.13.9+20260101-x86_64-unknown-linux-gnu-install_only.tar.gz",
        "cpython-3.13.10+20250101-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz",
        "cpython-3.13.10+20250101-aarch64-unknown-linux-gnu-install_only.tar.gz",
        "cpython-3.13.11+20260101-x86_64-apple-darwin-install_only.tar.gz",
        "cpython-3.13.11+20260101-x86_64-unknown-linux-gnu-debug-full.tar.zst",
        "cpython-3.1.99+20260101-x86_64-unknown-linux-gnu-install_only.tar.gz",
    ):
        (tmp_path / name).touch()
    found = python_builds.newest(tmp_path, "3.13")
    assert {machine: Path(path).name[:15] for machine, path in found.items()} == {
        "x86_64": "cpython-3.13.10",
        "aarch64": "cpython-3.13.10",
    }
    assert python_builds.newest(tmp_path, "3.12") == {}


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PackhorseError, match="no such folder of Python builds"):
        python_builds.newest(tmp_path / "none", "3.13")
