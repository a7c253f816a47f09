"""The promises of release.host.disk.releases."""

from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.host.disk import releases
from release.host.disk.layout import Layout
from tests.support.release_folders import a_layout, a_manifest, add_release


def test_the_switch_is_a_symlink_that_is_replaced(tmp_path: Path) -> None:
    """A removed and remade link leaves a moment without one: others read it at any time."""
    layout = a_layout(tmp_path)
    assert releases.current(layout) is None
    releases.switch(layout, 1)
    layout.folder.joinpath(".current").symlink_to("left by a kill")
    releases.switch(layout, 2)
    assert str(layout.current.readlink()) == "releases/2"
    assert releases.current(layout) == 2
    releases.switch(layout, None)
    assert releases.current(layout) is None


def test_a_folder_named_current_is_never_replaced(tmp_path: Path) -> None:
    """It may be somebody's data from another tool."""
    layout = a_layout(tmp_path)
    layout.current.mkdir()
    with pytest.raises(PackhorseError, match="is not a symlink to a release"):
        releases.switch(layout, 1)
    assert layout.current.is_dir()


def test_commands_that_need_a_release_say_that_there_is_none(tmp_path: Path) -> None:
    """`release stop` of something that was never deployed must not claim success."""
    layout = a_layout(tmp_path)
    with pytest.raises(PackhorseError, match="never been deployed here"):
        releases.require_current(layout)
    releases.switch(layout, 3)
    assert releases.require_current(layout) == 3


def test_values_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    """They may be secrets."""
    layout = a_layout(tmp_path)
    add_release(layout, 1, TOKEN="s3cret\n$x")
    assert releases.read_env(layout, 1) == {"TOKEN": "s3cret\n$x"}
    assert (layout.release(1) / "env.json").stat().st_mode & 0o777 == 0o600
    assert (layout.release(1) / releases.READY).stat().st_mode & 0o777 == 0o600  # or others lock it
    assert "s3cret" not in (layout.release(1) / "manifest.json").read_text()


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path) -> None:
    """What a release is does not depend on who asks."""
    layout = a_layout(tmp_path)
    add_release(layout, 1)
    assert releases.read_manifest(layout, 1) == a_manifest(1)


def test_a_release_goes_with_its_logs_and_nothing_else(tmp_path: Path) -> None:
    """Release 1 and release 11 are not the same."""
    layout = a_layout(tmp_path)
    for number in (1, 11):
        add_release(layout, number)
        layout.log(f"web.{number}").touch()
    layout.logs.joinpath("web.1.log.2").touch()
    releases.remove(layout, 1)
    assert releases.numbers(layout) == [11]
    assert [path.name for path in layout.logs.iterdir()] == ["web.11.log"]


def test_the_sockets_are_private(tmp_path: Path) -> None:
    """Whoever may write to circus's control socket runs code as this user."""
    assert a_layout(tmp_path).sockets.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("folder", "message"),
    [("with space", "misread"), ("x" * 90, "at most 107 bytes"), ("$(circus.wid)", "misread")],
)
def test_a_folder_that_circus_cannot_use_is_refused(tmp_path: Path, folder: str, message: str) -> None:
    """Later it would fail in circus, without a word about the cause."""
    with pytest.raises(PackhorseError, match=message):
        releases.create_folders(Layout("shop", tmp_path, tmp_path / folder))
