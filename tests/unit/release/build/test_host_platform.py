"""A dependency that hosts could not install is named at the build, not in a deploy."""

import platform

import pytest
from packaging.pylock import Pylock

from release.build import host_platform
from release.host.formats import lockfile

A = "a" * 64


def locked(*files: str, marker: str = "") -> Pylock:
    """A lock of dep 1.0 with these wheels, and its sdist."""
    wheels = ", ".join(f'{{ path = "wheels/{file}", hashes = {{ sha256 = "{A}" }} }}' for file in files)
    text = (
        'lock-version = "1.0"\ncreated-by = "uv"\n[[packages]]\nname = "dep"\nversion = "1.0"\n'
        f'{marker}\nsdist = {{ path = "wheels/dep-1.0.tar.gz", hashes = {{ sha256 = "{A}" }} }}\n'
        f"wheels = [{wheels}]\n"
    )
    return lockfile.parse(text.encode(), "pylock.toml")


@pytest.mark.parametrize(
    "file",
    [
        "dep-1.0-py3-none-any.whl",
        "dep-1.0-cp312-cp312-manylinux_2_28_{machine}.whl",
        "dep-1.0-cp312-cp312-manylinux2014_{machine}.whl",
        "dep-1.0-cp39-abi3-manylinux_2_17_{machine}.manylinux2014_{machine}.whl",
        "dep-1.0-py3-none-manylinux_2_34_{machine}.whl",
    ],
)
def test_a_wheel_that_fits_is_enough(file: str) -> None:
    name = file.format(machine=platform.machine())
    assert list(host_platform.warnings(locked(name), ["3.12"], [])) == []


@pytest.mark.parametrize(
    "files",
    [
        ("dep-1.0-cp312-cp312-macosx_11_0_arm64.whl", "dep-1.0-cp312-cp312-win_amd64.whl"),
        ("dep-1.0-cp311-cp311-manylinux_2_28_{machine}.whl",),
        ("dep-1.0-cp312-cp312-musllinux_1_2_{machine}.whl",),
        ("dep-1.0-cp312-cp312-manylinux_2_39_{machine}.whl",),
        ("dep-1.0-cp312-cp312-manylinux_2_28_riscv64.whl",),
    ],
)
def test_what_has_no_wheel_for_a_target_is_named_with_the_remedy(files: tuple[str, ...]) -> None:
    """Locked on a Mac, or with another Python than the hosts have."""
    lock = locked(*(file.format(machine=platform.machine()) for file in files))
    (warning,) = host_platform.warnings(lock, ["3.12"], [])
    assert warning.startswith("dep has no wheel for Python 3.12 on Linux")
    assert 'sdists = ["dep"]' in warning
    assert list(host_platform.warnings(lock, ["3.12"], ["dep"])) == []


def test_what_hosts_do_not_need_counts_for_nothing() -> None:
    lock = locked("dep-1.0-cp312-cp312-win_amd64.whl", marker="marker = \"sys_platform == 'win32'\"")
    assert list(host_platform.warnings(lock, ["3.12"], [])) == []


def test_a_python_that_the_lock_is_not_for_is_named() -> None:
    text = b'lock-version = "1.0"\nrequires-python = ">=3.13"\ncreated-by = "uv"\npackages = []\n'
    (warning,) = host_platform.warnings(lockfile.parse(text, "pylock.toml"), ["3.12"], [])
    assert warning.startswith("Hosts with Python 3.12 cannot install what is locked")
