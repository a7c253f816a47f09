"""The promises of release.host.commands.preflight."""

from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.host.commands import preflight
from release.host.disk import releases
from tests.support.layouts import FakeSupervisor, a_deploy, a_layout, add_release


def test_an_ordinary_host_is_found_good(tmp_path: Path) -> None:
    """Nothing that is right may stop a deploy; circus is asked, too."""
    layout = a_layout(tmp_path)
    add_release(layout, 1)
    releases.switch(layout, 1)
    circus = FakeSupervisor(layout)
    preflight.check(layout, a_deploy(), circus)
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


def test_a_release_is_measured_whole(tmp_path: Path) -> None:
    """Hard links may not be there the next time."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "data").write_bytes(bytes(100_000))
    size, count = preflight._size(tmp_path)
    assert count == 2
    assert 100_000 <= size < 200_000
