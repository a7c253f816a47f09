"""The promises of release.host.commands.deploy.preflight."""

import platform
from dataclasses import replace
from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.host.commands.deploy import preflight
from release.host.disk import releases
from release.host.disk.layout import Layout
from release.host.disk.manifest import File
from release.host.install import interpreter
from tests.support.release_folders import FakeSupervisor, a_content, a_layout, a_manifest, add_release

OWN = interpreter.own()


def test_an_ordinary_host_is_found_good(tmp_path: Path) -> None:
    """Nothing that is right may stop a deploy; circus is asked, too."""
    layout = a_layout(tmp_path)
    add_release(layout, 1)
    releases.switch(layout, 1)
    circus = FakeSupervisor(layout)
    preflight.check(layout, a_content(), OWN, None, circus)
    assert circus.calls == ["check"]


@pytest.mark.parametrize(
    ("size", "count", "message"),
    [(2**60, 1, "The disk is nearly full"), (1, 2**60, "hardly any inodes left")],
)
def test_a_disk_without_room_for_another_release_is_named(
    tmp_path: Path, size: int, count: int, message: str
) -> None:
    """Before anything is touched, and not in the middle of an installation."""
    layout = a_layout(tmp_path)
    with pytest.raises(PackhorseError, match=message):
        preflight._check_space(layout, size, count)


def test_another_version_needs_twice_what_the_current_one_has(tmp_path: Path) -> None:
    """It is downloaded and unpacked; hard links may not be there the next time. Of the first nobody knows."""
    layout = a_layout(tmp_path)
    assert preflight.space_needed(layout, a_content(), OWN) == (0, 0)
    add_release(layout, 1)
    releases.switch(layout, 1)
    _install(layout, 1)
    size, inodes = preflight.space_needed(layout, a_content(), OWN)
    assert 240_000 <= size < 400_000
    assert inodes > 2 * 3


def test_content_that_is_here_needs_only_what_cannot_be_linked(tmp_path: Path) -> None:
    """A full disk is a reason to go back; pip copies, so then it is all that the release has."""
    layout = a_layout(tmp_path)
    add_release(layout, 1)
    releases.switch(layout, 1)
    (layout.files / ("0" * 64)).mkdir()
    (layout.files / ("0" * 64) / "shop.whl").touch()
    _install(layout, 1)
    file = File("shop", "shop.whl", "0" * 64)
    wanted = replace(a_content(), files=[file])
    releases.write_manifest(layout, replace(a_manifest(1), python=platform.python_version()), {})
    assert preflight.space_needed(layout, wanted, OWN)[0] < 100_000 + preflight.OVERHEAD
    manifest = replace(a_manifest(1), python=platform.python_version(), installer="pip")
    releases.write_manifest(layout, manifest, {})
    pip = replace(wanted, installer="pip")
    assert preflight.space_needed(layout, pip, OWN)[0] > 100_000 + preflight.OVERHEAD


def _install(layout: Layout, number: int) -> None:
    """100 kB in the installer's cache, and linked into release `number`; compiled files, too."""
    cached = layout.cache / "data"
    cached.write_bytes(bytes(100_000))
    venv = layout.release(number) / "venv"
    (venv / "__pycache__").mkdir(parents=True)
    (venv / "data").hardlink_to(cached)
    (venv / "__pycache__" / "data.pyc").write_bytes(bytes(20_000))
