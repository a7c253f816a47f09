"""Environments: which markers hold, and which wheels installers take, on other Pythons and platforms."""

import platform

import pytest
from packaging import tags
from packaging.utils import parse_wheel_filename

from mirror.lockfiles import environments
from packhorse.errors import PackhorseError


def wheels(python: str, name: str, *its_tags: str) -> list[str]:
    """Those of the wheels with these tags that are taken, the best first."""
    (environment,) = environments.wanted([python], [name])
    found = {tag: parse_wheel_filename(f"demo-1.0-{tag}.whl")[3] for tag in its_tags}
    return environment.wheels(found)


def test_without_a_wish_it_is_this_python_on_this_machine() -> None:
    """As pip and uv choose here."""
    (environment,) = environments.wanted()
    native = next(tags.sys_tags())
    found = {"pure": frozenset({tags.Tag("py3", "none", "any")}), "native": frozenset({native})}
    assert environment.wheels(found) == ["native"]
    assert environment.takes_python(f"=={platform.python_version()}")
    assert environment.holds(f"python_full_version == '{platform.python_version()}'")


@pytest.mark.parametrize(
    ("python", "name", "taken"),
    [
        ("3.12", "linux-x86_64", "cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64"),
        ("3.13", "linux-x86_64", "cp39-abi3-manylinux_2_17_x86_64"),
        ("3.12", "linux-aarch64", "cp312-cp312-manylinux_2_28_aarch64"),
        ("3.12", "linux-arm64", "cp312-cp312-manylinux_2_28_aarch64"),
        ("3.12", "musl-x86_64", "cp312-cp312-musllinux_1_2_x86_64"),
        ("3.12", "macos-arm64", "cp312-cp312-macosx_11_0_arm64"),
        ("3.12", "macos-x86_64", "cp312-cp312-macosx_10_13_x86_64"),
        ("3.12", "windows-x86_64", "cp312-cp312-win_amd64"),
        ("3.12", "windows-arm64", "cp312-cp312-win_arm64"),
        ("3.12", "win32", "cp312-cp312-win32"),
        ("3.13t", "linux-x86_64", "cp313-cp313t-manylinux_2_28_x86_64"),
        ("3.14", "linux-s390x", "py3-none-any"),
    ],
)
def test_each_python_and_platform_takes_its_own_wheel(python: str, name: str, taken: str) -> None:
    """The kinds that projects publish."""
    published = (
        *("cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64", "cp39-abi3-manylinux_2_17_x86_64"),
        *("cp312-cp312-manylinux_2_28_aarch64", "cp312-cp312-musllinux_1_2_x86_64"),
        *("cp312-cp312-macosx_11_0_arm64", "cp312-cp312-macosx_10_13_x86_64", "cp312-cp312-win_amd64"),
        *("cp312-cp312-win_arm64", "cp312-cp312-win32", "cp313-cp313t-manylinux_2_28_x86_64", "py3-none-any"),
    )
    assert wheels(python, name, *published) == [taken]


def test_a_platform_without_a_version_takes_what_its_older_and_newer_systems_take() -> None:
    """Debian 12 takes the first, Debian 11 the second; none of them the one for very old systems."""
    new, old, ancient = (
        f"cp312-cp312-{tag}_x86_64" for tag in ("manylinux_2_34", "manylinux2014", "manylinux1")
    )
    assert wheels("3.12", "linux-x86_64", ancient, old, new) == [new, old]
    assert wheels("3.12", "manylinux_2_28_x86_64", ancient, old, new) == [old]
    assert wheels("3.12", "manylinux_2_34_x86_64", ancient, old, new) == [new]
    mac = [f"cp312-cp312-macosx_{version}_arm64" for version in ("11_0", "14_0")]
    assert wheels("3.12", "macos-arm64", *mac) == mac[::-1]
    assert wheels("3.12", "macosx_13_0_arm64", *mac) == mac[:1]


@pytest.mark.parametrize(
    ("marker", "names"),
    [
        ("sys_platform == 'win32'", ["windows-x86_64"]),
        ("platform_system == 'Darwin' and platform_machine == 'arm64'", ["macos-arm64"]),
        ("platform_machine == 'AMD64'", ["windows-x86_64"]),
        ("python_version < '3.12'", []),
        # Which patch release runs is not known: one of them needs it.
        ("python_full_version < '3.12.3'", ["linux-x86_64", "macos-arm64", "windows-x86_64"]),
        ("extra == 'fast' and sys_platform == 'linux'", ["linux-x86_64"]),
        ("extra != 'fast' and sys_platform == 'linux'", ["linux-x86_64"]),
        ("platform_release >= '20.0' and sys_platform == 'darwin'", ["macos-arm64"]),
    ],
)
def test_markers_are_evaluated_for_the_platform_not_for_this_machine(marker: str, names: list[str]) -> None:
    """The developer has a Mac, the server runs Linux."""
    platforms = ["linux-x86_64", "macos-arm64", "windows-x86_64"]
    found = environments.wanted(["3.12"], platforms)
    assert [name for name, each in zip(platforms, found, strict=True) if each.holds(marker)] == names


def test_a_patch_release_may_be_named() -> None:
    """Then markers and Requires-Python are exact."""
    (environment,) = environments.wanted(["3.12.4"], ["linux-x86_64"])
    assert not environment.holds("python_full_version < '3.12.3'")
    assert not environment.takes_python(">=3.12.5")
    assert environments.wanted(["3.12"], ["linux-x86_64"])[0].takes_python(">=3.12.5")


def test_each_python_is_taken_on_each_platform() -> None:
    """Twice the same is once."""
    found = environments.wanted(["3.11", "3.12", "3.11"], ["linux-x86_64", "win32"])
    assert [str(each) for each in found] == [
        *("3.11 on linux-x86_64", "3.11 on win32", "3.12 on linux-x86_64", "3.12 on win32")
    ]


@pytest.mark.parametrize("python", ["2.7", "3", "pypy3.10", "3.12; rm", "", "3.123", "three"])
def test_an_unknown_python_is_refused(python: str) -> None:
    """In two lines."""
    with pytest.raises(PackhorseError, match="version of CPython"):
        environments.wanted([python])


@pytest.mark.parametrize("name", ["solaris-sparc", "linux", "linux-mips", "manylinux_x_y_x86_64", "any"])
def test_an_unknown_platform_is_refused(name: str) -> None:
    """The hint names those that are known."""
    with pytest.raises(PackhorseError, match="no such platform") as caught:
        environments.wanted(platforms=[name])
    assert "musl-aarch64" in caught.value.hint
