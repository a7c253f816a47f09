"""The promises of release.deploy.progress."""

import re
import sys

import pytest

from release.deploy import progress

STEP = {"event": "step", "name": "fetch", "text": "Fetching"}
GATE = {"event": "gate", "name": "start"}
STOP = {"event": "stop", "reason": "Ctrl-C"}
LINE = {"event": "line", "process": "release", "text": "3 tables made"}
ERROR = {"event": "error", "message": "it broke"}


def test_one_host_shows_its_steps_with_their_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    """It has nobody to wait for, and its result and error are shown by others."""
    with progress.shown(["local"]) as show:
        for event in (GATE, STEP, STEP, STOP, ERROR, LINE):
            show("local", event)
    lines = [re.sub(r"\d+\.\d\d s", "0 s", line) for line in capsys.readouterr().err.splitlines()]
    stopping = "  stop      Ctrl-C: stopping at the next safe point …  0 s"
    assert lines == ["  fetch     Fetching  0 s"] * 2 + [stopping, "  release   3 tables made"]


def test_a_step_that_is_cut_off_ends_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    """What comes next, an error, starts on a line of its own."""
    with progress.shown(["local"]) as show:
        show("local", STEP)
    assert capsys.readouterr().err == "  fetch     Fetching\n"


def test_several_hosts_in_a_file_are_lines_that_name_them(capsys: pytest.CaptureFixture[str]) -> None:
    """grep finds what one host did."""
    with progress.shown(["web1", "web10"]) as show:
        warning = {"event": "warning", "text": "Release 3 could not be removed"}
        for event in (STEP, GATE, warning, ERROR, {"event": "result", "reverted": True}):
            show("web1", event)
    lines = [line[line.index(" s ") + 4 :] for line in capsys.readouterr().err.splitlines()]
    assert lines == [
        "web1   fetch     Fetching",
        "web1   wait      Installed, waits for its turn",
        "web1   warning   Release 3 could not be removed",
        "web1   end       it broke",
        "web1   end       Switched back",
    ]


def test_a_command_that_only_asks_shows_no_end_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    """What the hosts answered to `release status` follows at once."""
    with progress.shown(["web1", "web2"]) as show:
        show("web1", {"event": "result", "state": "running"})
        show("web2", ERROR)
    assert [line.split()[2:4] for line in capsys.readouterr().err.splitlines()] == [["web2", "end"]]


def test_several_hosts_on_a_terminal_are_rows(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten hosts that talk at the same time cannot be read as lines; names are text, never markup."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with progress.shown(["web1", "web2"]) as show:
        show("web1", {**STEP, "text": "Fetching [red]"})
        show("", STOP)
    shown = capsys.readouterr().err
    assert "Ctrl-C: stopping" in shown
    assert re.search(r"web1 .*fetch .*Fetching \[red\]", shown)
    assert re.search(r"web2 .*connect ", shown)
