"""The promises of release.config.env_file: what is written is read again, whatever it is."""

import os
import random
import time

import pytest

from packhorse.errors import PackhorseError
from release.config import env_file


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("# comment\n\n  # another\nA=1\nB=2", {"A": "1", "B": "2"}),
        ("A=\nB=''\n", {"A": "", "B": ""}),
        ("export A=1\n  B = two words  \n", {"A": "1", "B": "two words"}),
        ("A=1\r\nB='2'\r\n", {"A": "1", "B": "2"}),
        ("\ufeffA=1", {"A": "1"}),
        ("A=pa#ss word # comment\n", {"A": "pa#ss word"}),
        ("A='x # y' # comment\nB=\"z\"# comment", {"A": "x # y", "B": "z"}),
        ("A=$HOME ${B} `id` $(id)", {"A": "$HOME ${B} `id` $(id)"}),
        ("A='it\\'s \\\\ \\n $HOME'", {"A": "it's \\ \\n $HOME"}),
        (r'A="a\nb\t\"\$c\\ \x"', {"A": 'a\nb\t"$c\\ \\x'}),
        ("A='-----BEGIN\nabc==\n-----END\n'\nB=1", {"A": "-----BEGIN\nabc==\n-----END\n", "B": "1"}),
        ('A={"a": "b c"}', {"A": '{"a": "b c"}'}),
        ("A=postgresql://u:p@h/d?x=1&y=2", {"A": "postgresql://u:p@h/d?x=1&y=2"}),
        ("A=\u00a0é\u00a0", {"A": "\u00a0é\u00a0"}),
    ],
)
def test_files_of_others_are_read_as_they_mean_them(text: str, expected: dict[str, str]) -> None:
    """But for expansions: a password with a dollar stays one."""
    assert env_file.parse(text.encode(), ".env") == expected


@pytest.mark.parametrize(
    ("text", "line"),
    [("hunter2", 1), ("A=1\n\n=hunter2", 3), ("A='hunter2", 1), ("A=1\nB='hunter2' x", 2), ("A-B=hunter2", 1),
     ("A=1\nB='x\ny'\nC=\"hunter2", 4), ("-----BEGIN\nhunter2==\n", 1)],
)  # fmt: skip
def test_what_is_no_line_of_such_a_file_is_refused_by_its_number(text: str, line: int) -> None:
    """Never with its text: it may be a secret."""
    with pytest.raises(PackhorseError, match=rf"\.env: line {line} ") as refused:
        env_file.parse(text.encode(), ".env")
    assert "hunter2" not in f"{refused.value.message}{refused.value.hint}{refused.value.detail}"


def test_a_name_that_is_there_twice_is_refused() -> None:
    """Which one counts, tools disagree on."""
    with pytest.raises(PackhorseError, match="A is there twice"):
        env_file.parse(b"A=1\nB=2\nA=3\n", ".env")


def test_every_value_that_an_environment_can_hold_survives() -> None:
    """The editor gets what `render` writes, and what `parse` reads becomes the configuration."""
    chance = random.Random(11)  # noqa: S311  # the same values every time
    awkward = b"'\"\\$# \n\r\t`=a\xff\xc3\xa9\x01"
    for length in range(400):
        values = {
            "A": os.fsdecode(bytes(chance.choices(awkward, k=length % 13))),
            "B": os.fsdecode(bytes(chance.choices(range(1, 256), k=length))),
            "C": "plain",
        }
        assert env_file.parse(env_file.render(values), ".env") == values


@pytest.mark.parametrize(
    "text",
    [b" " * 50_000 + b"'", b"\n" * 100_000 + b"A='", b"A='" + b"\\'" * 50_000, b"A=x" + b" #" * 50_000],
)
def test_no_file_takes_long_to_read(text: bytes) -> None:
    """Patterns that try every way to match do."""
    began = time.process_time()
    with pytest.raises(PackhorseError) if b"#" not in text else pytest.MonkeyPatch.context():
        env_file.parse(text, ".env")
    assert time.process_time() - began < 5  # minutes, before
