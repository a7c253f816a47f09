"""The `needs` marker: no test is left out without a word, and for root none at all."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import debian_packages
from tests.support.debian_packages import Package

NGINX = Package("nginx-light", "nginx", "serves files")


def test_root_installs_what_misses_and_only_that() -> None:
    """apt-get takes seconds even when there is nothing to do."""
    called: list[list[str]] = []
    other = Package("other", "there", "is there")
    debian_packages.main(
        [NGINX, other],
        find=lambda name: "/bin/there" if name == "there" else None,
        is_root=True,
        call=called.append,
    )
    assert [command[0] for command in called] == ["apt-get", "apt-get"]
    assert called[1][-1] == "nginx-light"


def test_nothing_is_done_or_said_when_everything_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    """`make test` runs it every time."""
    debian_packages.main(
        [NGINX], find=lambda _: "/usr/sbin/nginx", is_root=True, call=lambda _: pytest.fail("called")
    )
    assert tuple(capsys.readouterr()) == ("", "")


def test_without_root_it_says_what_is_left_out_and_how_to_change_that(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A suite that silently shrinks is worse than none."""
    debian_packages.main([NGINX], find=lambda _: None, is_root=False, call=lambda _: pytest.fail("called"))
    assert capsys.readouterr().err == (
        "Tests with nginx are left out: it serves files.\nTo run them too: sudo apt-get install nginx-light\n"
    )


def test_every_package_has_a_reason() -> None:
    """Who reads the list must know why it is there."""
    assert all(package.reason and package.program for package in debian_packages.PACKAGES)


def _pytest(tmp_path: Path, user: int) -> subprocess.CompletedProcess[str]:
    """Run a suite of two tests, one of which needs a program that does not exist, as root or as somebody."""
    (tmp_path / "conftest.py").write_text(
        f"import os\nos.geteuid = lambda: {user}\nfrom tests.conftest import *\n"
    )
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "@pytest.mark.needs('no-such-program')\n"
        "def test_with(): pass\n"
        "def test_without(): pass\n"
    )
    here = Path(__file__).parents[3]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path],
        cwd=here,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_missing_program_leaves_its_tests_out_with_the_reason_where_nobody_is_root(tmp_path: Path) -> None:
    """The person cannot install it, and must know what was not tested."""
    done = _pytest(tmp_path, user=1000)
    assert done.returncode == 0
    assert "left out: 1 tests need no-such-program, which is not on this machine" in done.stdout
    assert "1 passed, 1 deselected" in done.stdout


def test_a_missing_program_is_a_failure_for_root(tmp_path: Path) -> None:
    """There `make test` installs it: nothing may be left out."""
    done = _pytest(tmp_path, user=0)
    assert done.returncode == 1
    assert "no no-such-program on this machine" in done.stdout
    assert "1 passed, 1 error" in done.stdout
