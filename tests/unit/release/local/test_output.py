"""The promises of release.local.output."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from release.local.output import ProcessOutput
from tests.support.terminals import open_terminal


def _written(path: Path, lines: list[str]) -> list[str]:
    with path.open("w") as file:
        ProcessOutput(["web", "worker.1"], file.fileno(), {}).write("web", lines)
    return path.read_text().splitlines()


def test_each_line_has_time_and_process(tmp_path: Path) -> None:
    """Empty lines too; names are as wide as the longest."""
    first, empty = _written(tmp_path / "out", ["hello", ""])
    assert re.fullmatch(r"\d\d:\d\d:\d\d web      \| hello", first)
    assert re.fullmatch(r"\d\d:\d\d:\d\d web      \| ", empty)


def test_what_a_terminal_would_obey_is_written_out(tmp_path: Path) -> None:
    """A dependency that logs what a stranger sent must not retitle or reprogram the developer's terminal."""
    line = _written(tmp_path / "out", ["\x1b]0;title\x07 \u202e \x85 \u2028 \r"])
    assert len(line) == 1
    assert line[0].endswith(r"| \x1b]0;title\x07 \u202e \x85 \u2028 " + r"\r")


def _on_terminal(environment: Mapping[str, str]) -> bytes:
    with open_terminal() as (controller, terminal):
        ProcessOutput(["web"], terminal, environment).write("web", ["hello"])
        return os.read(controller, 1000)


def test_colours_are_for_terminals_that_want_them() -> None:
    """NO_COLOR (no-color.org), and terminals that have none."""
    assert b"\x1b[36m" in _on_terminal({"TERM": "xterm"})
    assert b"\x1b" not in _on_terminal({"TERM": "xterm", "NO_COLOR": "1"})
    assert b"\x1b" not in _on_terminal({"TERM": "dumb"})
