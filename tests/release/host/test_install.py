"""The promises of release.host.install that need no installer."""

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from packhorse.process import Finished
from release.host import install, state
from release.host.request import Deploy, File
from release.host.session import Session
from tests.release.host.places import HEALTH, a_layout


def file(filename: str, url: str = "ftp://example.com/x") -> File:
    return File(filename, url, "0" * 64)


def wanted(installer: str = "uv") -> Deploy:
    return Deploy(
        index_url="http://index.example.com/company/dev/+simple/",
        project="shop",
        version="1.0",
        files=[],
        installer=installer,
        bind=None,
        health=HEALTH,
        env={},
        graceful_timeout=10,
        keep=5,
        by="ann@example",
    )


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
    assert install.candidate(files).filename == chosen.format(arch=machine())


def test_a_version_without_a_usable_file_says_what_there_is() -> None:
    """Built on another platform, deployed here."""
    with pytest.raises(PackhorseError, match=r"No uploaded file fits .*: shop-1\.0-cp27-cp27m-win32\.whl"):
        install.candidate([file("shop-1.0-cp27-cp27m-win32.whl")])


def test_a_failed_installation_leaves_nothing(tmp_path: Path) -> None:
    """A half-made release must never be taken for one; only the web is asked for files."""
    layout = a_layout(tmp_path)
    session = Session(lambda _: None, threading.Event())
    with pytest.raises(PackhorseError, match="this is no web address"):
        install.install(layout, 1, wanted(), file("shop-1.0-py3-none-any.whl"), session)
    assert state.numbers(layout) == []
    assert list(layout.releases.iterdir()) == []


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_installers_demand_hashes_and_get_no_address_as_an_argument(installer: str) -> None:
    """Argument lists are public; the index (perhaps with a password) comes through the environment."""
    make, fill = install.installer_commands(installer, Path("/r/1"))
    assert "/r/1/venv" in make
    assert "--require-hashes" in fill
    assert fill[-2:] == ["--requirement", "/r/1/requirements.txt"]
    assert not [word for word in make + fill if "://" in word]


@pytest.mark.parametrize(
    ("output", "cause"),
    [
        ("error: failed to write: No space left on device (os error 28)", "the disk is full"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE", "is not the one that was locked"),
        ("error: Hash mismatch for `dep==1.0`", "is not the one that was locked"),
        ("error: error sending request for url", "http://index.example.com/company/dev/+simple/ could not"),
        ("something new", "uv ended with status 2"),
    ],
)
def test_an_installers_failure_is_said_in_our_words(output: str, cause: str) -> None:
    """What happened and what to do now; the installer's own words are the detail."""
    error = install._explained(wanted(), Finished(2, "", output))
    assert cause in error.message
    assert error.detail == output
