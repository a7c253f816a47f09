"""What a lock needs here, and which file of a page that is."""

import platform
from pathlib import Path

import pytest
from packaging import tags

from mirror import lockfile
from mirror.lockfile import NoFileError, Pin
from packhorse.errors import PackhorseError

NATIVE = str(next(tags.sys_tags()))
A, B = "a" * 64, "b" * 64
LOCK = f"""\
lock-version = "1.0"
created-by = "tests"
[[packages]]
name = "demo"
version = "1.0"
wheels = [
  {{path = "wheels/demo-1.0-py3-none-any.whl", hashes = {{sha256 = "{A}"}}}},
  {{path = "wheels/demo-1.0-{NATIVE}.whl", hashes = {{sha256 = "{B}"}}}},
]
[[packages]]
name = "only-sdist"
version = "2.0"
sdist = {{path = "wheels/only_sdist-2.0.tar.gz", hashes = {{sha256 = "{A}"}}}}
[[packages]]
name = "elsewhere"
version = "3.0"
marker = "sys_platform == 'win32'"
sdist = {{path = "wheels/elsewhere-3.0.tar.gz", hashes = {{sha256 = "{A}"}}}}
"""


def _read(tmp_path: Path, text: str, name: str = "requirements.txt") -> list[Pin]:
    path = tmp_path / name
    path.write_text(text)
    return lockfile.read(path)


def test_a_pylock_names_the_best_file_for_this_machine(tmp_path: Path) -> None:
    """A lock has files for all platforms; a cache needs one of each package."""
    assert _read(tmp_path, LOCK, "pylock.toml") == [
        Pin("demo", "1.0", f"demo-1.0-{NATIVE}.whl", frozenset({("sha256", B)})),
        Pin("only-sdist", "2.0", "only_sdist-2.0.tar.gz", frozenset({("sha256", A)})),
    ]


def test_pins_are_read_with_hashes_markers_continuations_and_options(tmp_path: Path) -> None:
    """As `uv pip compile --generate-hashes` and people write them."""
    (tmp_path / "more.txt").write_text("other===2.0\n")
    text = f"""\
# a comment
--index-url https://example.com/simple/
-r more.txt
Demo.Name[extra]==1.0 ; python_version >= "3" \\
    --hash=sha256:{A} \\
    --hash=sha256:{B.upper()}
    # via something
windows==1 ; sys_platform == "win32"
demo-name == 1.0  # the same again, without hashes

plain==3.0+local"""
    assert _read(tmp_path, text) == [
        Pin("other", "2.0"),
        Pin("demo-name", "1.0", hashes=frozenset({("sha256", A), ("sha256", B)})),
        Pin("demo-name", "1.0"),
        Pin("plain", "3.0+local"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("demo>=1\n", "requirements.txt:1: demo has no pinned version"),
        ("\ndemo==1.*\n", "requirements.txt:2: demo has no pinned version"),
        ("demo @ https://example.com/demo.whl\n", "demo has no pinned version"),
        ("ok==1\n./folder\n", "requirements.txt:2: "),
    ],
)
def test_what_cannot_be_prefetched_is_named(tmp_path: Path, text: str, words: str) -> None:
    """A silently skipped line would be missing on the day that it is needed."""
    with pytest.raises(PackhorseError) as caught:
        _read(tmp_path, text)
    assert words in caught.value.message


@pytest.mark.parametrize(
    "text", ["lock-version =", 'lock-version = "1.0"\n', LOCK.replace("sdist = ", "x = ")]
)
def test_a_damaged_pylock_is_named(tmp_path: Path, text: str) -> None:
    """Two lines instead of a traceback."""
    with pytest.raises(PackhorseError, match=r"pylock\.toml"):
        _read(tmp_path, text, "pylock.toml")


def _file(filename: str, sha256: str = A, **more: str) -> dict[str, object]:
    return {"filename": filename, "url": filename, "hashes": {"sha256": sha256}, **more}


def test_the_most_specific_wheel_is_chosen_then_any_wheel_then_the_sdist() -> None:
    """As pip and uv choose."""
    sdist, pure, native = (
        _file("demo-1.0.tar.gz"),
        _file("demo-1.0-py3-none-any.whl"),
        _file(f"demo-1.0-{NATIVE}.whl"),
    )
    foreign = _file("demo-1.0-cp26-cp26m-win32.whl")
    wanted = Pin("demo", "1.0")
    assert lockfile.choose(wanted, [sdist, foreign, pure, native]) is native
    assert lockfile.choose(wanted, [sdist, foreign, pure]) is pure
    assert lockfile.choose(wanted, [foreign, sdist]) is sdist
    with pytest.raises(NoFileError, match="no file of it fits"):
        lockfile.choose(wanted, [foreign])


def test_versions_are_compared_as_versions_and_other_pythons_files_are_left() -> None:
    """1.0 and 1.0.0 are one version; requires-python decides before the tags."""
    only_old = _file("demo-1.0.0-py3-none-any.whl", **{"requires-python": "<3"})
    sdist = _file("demo-1.0.tar.gz", **{"requires-python": f">={platform.python_version()}"})
    assert lockfile.choose(Pin("demo", "1"), [only_old, sdist]) is sdist


def test_hashes_of_the_lock_decide() -> None:
    """A file with another hash is another file."""
    first, second = _file("demo-1.0-py3-none-any.whl", A), _file("demo-1.0.tar.gz", B)
    assert lockfile.choose(Pin("demo", "1.0", hashes=frozenset({("sha256", B)})), [first, second]) is second
    with pytest.raises(NoFileError, match="another hash"):
        lockfile.choose(Pin("demo", "1.0", "demo-1.0.tar.gz", frozenset({("sha256", A)})), [second])
    with pytest.raises(NoFileError, match="no such file"):
        lockfile.choose(Pin("demo", "1.0", "demo-1.0.zip"), [second])
    with pytest.raises(NoFileError, match="no such version"):
        lockfile.choose(Pin("demo", "1.1"), [second, _file("strange")])
