"""The promises of release.variables.values: values arrive as they were given."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.variables import values

SECRET = "hunter2-hunter2"


def given(
    *assignments: str, file: Path | None = None, asked: bytes = b"", stdin: bytes = b""
) -> values.Given:
    return values.read(assignments, file, lambda _name: asked, lambda: stdin)


def test_values_come_from_arguments_files_and_questions(tmp_path: Path) -> None:
    """Several at once are one release."""
    (tmp_path / "key.pem").write_bytes(b"-----BEGIN\n\xff\n-----END\n")
    (tmp_path / ".env").write_text("B='1 2'\n")
    found = given(
        "A=x=y", f"KEY=@{tmp_path / 'key.pem'}", "ASKED", "EMPTY=", file=tmp_path / ".env", asked=b"s\xfe"
    )
    assert found.values == {
        "A": "x=y",
        "KEY": os.fsdecode(b"-----BEGIN\n\xff\n-----END\n"),
        "ASKED": os.fsdecode(b"s\xfe"),
        "EMPTY": "",
        "B": "1 2",
    }
    assert found.typed == ["A"]
    assert SECRET not in repr(given(f"A={SECRET}"))


def test_an_env_file_comes_from_standard_input() -> None:
    """What a tool decrypts needs no file."""
    assert given(file=values.STDIN, stdin=b"A=1\n").values == {"A": "1"}


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"s\n", b"s"), (b"s", b"s"), (b"a\nb\n", b"a\nb\n"), (b"\n", b""), (b"s\n\n", b"s\n\n")],
)
def test_the_newline_of_echo_is_not_part_of_a_password(data: bytes, expected: bytes) -> None:
    """A login with it fails, and nobody sees why; what has several lines is taken as it is."""
    assert values.without_last_newline(data) == expected


def test_a_file_is_taken_as_it_is_with_a_word_about_its_last_newline(tmp_path: Path) -> None:
    """Editors add one."""
    path = tmp_path / "password"
    path.write_bytes(b"s\n")
    found = given(f"A=@{path}")
    assert found.values == {"A": "s\n"}
    assert "A ends with the newline" in found.notes[0]


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (["A=1", "A=2"], "A is given twice"),
        (["A=@/nowhere/at/all"], "A: /nowhere/at/all cannot be read: No such file"),
        (["A=@/"], "/ cannot be read: Is a directory"),
        (["PATH"], "PATH cannot be set"),
        (["A=x\0y"], "The value of A has a NUL"),
    ],
)
def test_what_cannot_be_set_is_refused(assignments: Sequence[str], message: str) -> None:
    """Before anybody types a password in vain."""
    with pytest.raises(PackhorseError, match=message):
        values.read(assignments, None, lambda _name: pytest.fail("asked"), bytes)


@pytest.mark.parametrize("typed", ["postgres://shop:s3cret@db/shop", "se-s3cret=x"])
def test_a_value_without_a_name_is_not_repeated(typed: str) -> None:
    """It would end in the log of a build server."""
    with pytest.raises(PackhorseError) as caught:
        values.read(["A=1", f"{typed}!"], None, lambda _name: b"", bytes)
    assert "Argument 2 is neither" in caught.value.message
    assert "s3cret" not in f"{caught.value.message}{caught.value.hint}"


def test_nothing_is_no_value() -> None:
    """A pipe whose command failed must not empty a password; who means it says so."""
    with pytest.raises(PackhorseError, match="No value was given for A") as refused:
        given("A")
    assert refused.value.hint.endswith("To set an empty one: A=")
    assert given("A=").values == {"A": ""}
