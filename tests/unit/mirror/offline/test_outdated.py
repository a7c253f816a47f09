"""Pins are compared with what installers would choose now."""

from typing import Any

import pytest

from mirror.lockfiles import environments
from mirror.lockfiles.lock import Pin
from mirror.offline import outdated
from mirror.offline.outdated import Outdated

LINUX = environments.wanted(("3.12",), ("linux-x86_64",))


def _file(name: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"filename": name, "url": name, "hashes": {"sha256": "a" * 64}, **more}


def _find(pinned: str, *files: dict[str, Any]) -> list[Outdated]:
    return list(outdated.find([Pin("demo", pinned, environments=LINUX)], {"demo": {"files": files}}))


def test_the_newest_version_and_since_when_it_is_there() -> None:
    """By the first of its files."""
    found = _find(
        "1.9",
        _file("demo-1.10-py3-none-any.whl", **{"upload-time": "2024-02-02T00:00:00Z"}),
        _file("demo-1.10.tar.gz", **{"upload-time": "2024-02-01T00:00:00Z"}),
        _file("demo-1.9.tar.gz"),
        _file("demo-1.8.tar.gz"),
    )
    assert found == [Outdated("demo", "1.9", "1.10", "2024-02-01T00:00:00Z")]
    assert str(found[0]) == "demo 1.9: 1.10 is there (since 2024-02-01)"


@pytest.mark.parametrize(
    "file",
    [
        _file("demo-2.0.tar.gz", yanked=True),
        _file("demo-2.0.tar.gz", yanked=""),
        _file("demo-2.0.tar.gz", yanked="broken"),
        _file("demo-2.0rc1.tar.gz"),
        _file("demo-2.0.dev1.tar.gz"),
        _file("demo-2.0-py3-none-any.whl", **{"requires-python": ">=3.13"}),
        _file("demo-2.0-cp312-cp312-win_amd64.whl"),
        _file("demo-2.0.exe"),
        _file("demo-1.0.tar.gz"),
    ],
)
def test_what_installers_would_not_choose_is_not_newer(file: dict[str, Any]) -> None:
    """A report that names it would be ignored from then on."""
    assert _find("1.0", _file("demo-1.0.tar.gz"), file) == []
    (found,) = _find("1.0", _file("demo-1.5.tar.gz"), file)
    assert found.newest == "1.5"


def test_a_pinned_pre_release_is_outdated_by_the_next() -> None:
    """Its users have chosen to take them."""
    assert _find("2.0a1", _file("demo-2.0b1.tar.gz"))[0].newest == "2.0b1"


def test_a_project_without_a_page_is_left_out() -> None:
    """The refresh has said why there is none."""
    assert list(outdated.find([Pin("demo", "1.0", environments=LINUX)], {})) == []
