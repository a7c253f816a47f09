"""Which files of a page a pin means."""

import pytest

from mirror.lockfiles import choice, environments
from mirror.lockfiles.choice import NoFileError
from mirror.lockfiles.lock import LockedFile, Pin

A, B = "a" * 64, "b" * 64
SHA_A, SHA_B = (frozenset({("sha256", digest)}) for digest in (A, B))
LINUX, WINDOWS = ENVIRONMENTS = environments.wanted(["3.12"], ["linux-x86_64", "windows-x86_64"])
PIN = Pin("demo", "1.0", environments=ENVIRONMENTS)


def file(filename: str, sha256: str = A, **more: str) -> dict[str, object]:
    """A file as a page has it."""
    return {"filename": filename, "url": filename, "hashes": {"sha256": sha256}, **more}


SDIST, PURE = file("demo-1.0.tar.gz"), file("demo-1.0-py3-none-any.whl")
NATIVE, FOREIGN = (
    file("demo-1.0-cp312-cp312-manylinux_2_28_x86_64.whl"),
    file("demo-1.0-cp26-cp26m-win32.whl"),
)


def test_each_environment_gets_its_wheel_or_the_sdist() -> None:
    """As pip and uv choose."""
    assert choice.choose(PIN, [SDIST, FOREIGN, PURE, NATIVE]) == [NATIVE, PURE]
    assert choice.choose(PIN, [SDIST, FOREIGN, PURE]) == [PURE]
    assert choice.choose(PIN, [FOREIGN, SDIST, NATIVE]) == [NATIVE, SDIST]
    assert choice.choose(PIN, [file("demo-1.0.zip"), SDIST]) == [SDIST]
    with pytest.raises(NoFileError, match=r"no file of it that fits 3\.12 on windows-x86_64"):
        choice.choose(PIN, [FOREIGN, NATIVE])


def test_all_files_are_all_of_the_version() -> None:
    """For a cache that serves everybody."""
    other = file("demo-1.1.tar.gz")
    assert choice.choose(PIN, [SDIST, FOREIGN, other, NATIVE], every=True) == [SDIST, FOREIGN, NATIVE]


def test_versions_are_compared_as_versions_and_other_pythons_files_are_left() -> None:
    """1.0 and 1.0.0 are one version; requires-python decides before the tags."""
    only_old = file("demo-1.0.0-py3-none-any.whl", **{"requires-python": "<3"})
    sdist = file("demo-1.0.tar.gz", **{"requires-python": ">=3.12"})
    assert choice.choose(Pin("demo", "1", environments=ENVIRONMENTS), [only_old, sdist]) == [sdist]


def test_hashes_of_the_lock_decide() -> None:
    """A file with another hash is another file."""
    first, second = file("demo-1.0-py3-none-any.whl", A), file("demo-1.0.tar.gz", B)
    assert choice.choose(Pin("demo", "1.0", hashes=SHA_B, environments=ENVIRONMENTS), [first, second]) == [
        second
    ]
    changed = Pin("demo", "1.0", (LockedFile("demo-1.0.tar.gz", SHA_A),), environments=(LINUX,))
    with pytest.raises(NoFileError, match="another hash"):
        choice.choose(changed, [second])
    with pytest.raises(NoFileError, match="no such version"):
        choice.choose(Pin("demo", "1.1"), [second, file("strange")])


def test_a_file_that_the_lock_does_not_name_has_one_of_its_hashes() -> None:
    """poetry and pdm take another file of the version only if its hash is in the lock."""
    pin = Pin("demo", "1.0", (LockedFile("demo-1.0-py2.py3-none-any.whl", SHA_A),), environments=(LINUX,))
    renamed, other = file("demo-1.0-py3-none-any.whl", A), file("demo-1.0-py3-none-any.whl", B)
    assert choice.choose(pin, [renamed]) == [renamed]
    assert choice.locked_hashes(pin, renamed) == {"sha256": A}
    with pytest.raises(NoFileError, match="the index has it with another hash"):
        choice.choose(pin, [other])


@pytest.mark.parametrize("exact", [True, False])
def test_uv_takes_the_file_of_the_lock_and_poetry_one_that_the_index_lists(*, exact: bool) -> None:
    """uv.lock and pylock.toml name the file that is installed."""
    names = ("demo-1.0-cp312-cp312-manylinux_2_28_x86_64.whl", "demo-1.0.tar.gz")
    locked = tuple(LockedFile(name, SHA_A) for name in names)
    pin = Pin("demo", "1.0", locked, exact=exact, source="https://example.com/", environments=(LINUX,))
    if not exact:
        assert choice.choose(pin, [SDIST]) == [SDIST]
        return
    with pytest.raises(
        NoFileError, match=r"no demo-1.0-cp312.* \(the lock takes it from https://example.com/\)"
    ):
        choice.choose(pin, [SDIST])


def test_a_page_without_hashes_leaves_the_check_to_the_download() -> None:
    """Old indexes state md5, or nothing."""
    bare = {**PURE, "hashes": {}}
    pin = Pin("demo", "1.0", (LockedFile("demo-1.0-py3-none-any.whl", SHA_A),), environments=(LINUX,))
    assert choice.choose(pin, [bare]) == [bare]
    assert choice.locked_hashes(pin, bare) == {"sha256": A}
