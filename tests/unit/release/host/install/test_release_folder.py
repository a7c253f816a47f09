"""The promises of release.host.install.release_folder that need no installer."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.host.disk import file_cache, releases
from release.host.disk.manifest import File
from release.host.formats import artifact, lockfile
from release.host.install import release_folder
from tests.support.release_folders import a_layout, a_session, a_spec


def file(filename: str, url: str = "ftp://example.com/x") -> File:
    return File("shop", filename, "0" * 64, url)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["shop-1.0.tar.gz", "shop-1.0-py3-none-any.whl"], "shop-1.0-py3-none-any.whl"),
        (["shop-1.0-cp27-cp27m-win32.whl", "shop-1.0.tar.gz"], "shop-1.0.tar.gz"),
        (
            ["shop-1.0-py3-none-any.whl", "shop-1.0-py3-none-linux_{arch}.whl"],
            "shop-1.0-py3-none-linux_{arch}.whl",
        ),
    ],
)
def test_the_best_file_for_this_host_is_chosen(offered: Sequence[str], chosen: str) -> None:
    """As pip would: a wheel for this platform, a wheel for all, the sdist."""
    from platform import machine

    files = [file(name.format(arch=machine())) for name in offered]
    assert release_folder.select_file(files).filename == chosen.format(arch=machine())


def test_a_version_without_a_usable_file_says_what_there_is() -> None:
    """Built on another platform, deployed here."""
    with pytest.raises(PackhorseError, match=r"No uploaded file fits .*: shop-1\.0-cp27-cp27m-win32\.whl"):
        release_folder.select_file([file("shop-1.0-cp27-cp27m-win32.whl")])


def test_a_failed_installation_leaves_nothing(tmp_path: Path) -> None:
    """A half-made release must never be taken for one; only the web is asked for files."""
    layout = a_layout(tmp_path)
    with pytest.raises(PackhorseError, match="this is no web address"):
        release_folder.install(layout, a_spec(), file("shop-1.0-py3-none-any.whl"), a_session())
    assert releases.numbers(layout) == []
    assert list(layout.releases.iterdir()) == []


def test_a_host_with_another_python_is_named() -> None:
    """The installer would find out, too, but after minutes and in more words."""
    manifest = artifact.BuildManifest("shop", "1.0", None, None, {}, "", ">=3.99")
    lock = lockfile.parse(b'lock-version = "1.0"\ncreated-by = "tests"\npackages = []\n', "pylock.toml")
    with pytest.raises(PackhorseError, match=r"shop\.whl needs Python >=3\.99, this host has 3\."):
        release_folder._check_python(artifact.Contents(manifest, {}, lock, "shop", "1.0"), file("shop.whl"))


def test_a_wheel_that_was_built_here_is_used_again(tmp_path: Path) -> None:
    """An sdist is built once: a rollback needs no index, and gets the very same files."""
    layout = a_layout(tmp_path)
    sdist = file("shop-1.0.tar.gz")
    place = file_cache.path(layout, sdist)
    place.parent.mkdir()
    place.touch()
    assert release_folder.wheel_of(layout, sdist) is None
    place.with_name("shop-1.0-cp27-cp27m-win32.whl").touch()
    assert release_folder.wheel_of(layout, sdist) is None
    place.with_name("shop-1.0-py3-none-any.whl").touch()
    assert release_folder.wheel_of(layout, sdist) == place.with_name("shop-1.0-py3-none-any.whl")
