"""The promises of release.host.install.installer that need no installer."""

from pathlib import Path

import pytest

from packhorse.process import Finished
from release.host.install import installer
from tests.support.release_folders import a_spec

VENV = Path("/r/1/venv")


@pytest.mark.parametrize("name", ["uv", "pip"])
def test_a_release_is_filled_with_known_files_only(name: str) -> None:
    """Everything was fetched and verified before; an index that is asked again could say something else."""
    fill = installer.fill_command(name, VENV, Path("/r/1/requirements.txt"))
    assert {"--require-hashes", "--no-index", "--only-binary"} < set(fill)
    assert fill[-2:] == ["--requirement", "/r/1/requirements.txt"]


@pytest.mark.parametrize(
    ("output", "cause"),
    [
        ("error: failed to write: No space left on device (os error 28)", "the disk is full"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE", "is not the one that was locked"),
        ("error: Hash mismatch for `dep==1.0`", "is not the one that was locked"),
        ("something new", "uv ended with status 2"),
    ],
)
def test_an_installers_failure_is_explained(output: str, cause: str) -> None:
    """What happened and what to do now; the installer's own output is the detail."""
    error = installer.failure(a_spec(), Finished(2, "", output), "shop 1.0 was not installed")
    assert error.message.startswith("shop 1.0 was not installed: ")
    assert cause in error.message
    assert error.detail == output


def test_scripts_start_the_python_of_their_own_release(tmp_path: Path) -> None:
    """Not whichever the shared name leads to later; another file may be a link into the cache of uv."""
    alias, folder = tmp_path / "alias", tmp_path / "7" / "bin"
    folder.mkdir(parents=True)
    (folder / "serve").write_text(f"#!{alias}/bin/python\nimport serve\n")
    (folder / "binary").write_bytes(b"\x7fELF" + bytes(alias))
    installer.rename_python(tmp_path / "7", alias)
    assert (folder / "serve").read_text() == f"#!{tmp_path}/7/bin/python\nimport serve\n"
    assert (folder / "binary").read_bytes() == b"\x7fELF" + bytes(alias)
