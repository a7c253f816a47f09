"""The promises of release.deploy.progress."""

import contextlib
import fcntl
import os
import re
import struct
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from typing import TextIO

import pytest

from release.deploy import progress
from release.deploy.progress import Verbosity
from tests.support.terminals import open_terminal, read_until

STEP = {"event": "step", "name": "fetch", "text": "Fetching"}
GATE = {"event": "gate", "name": "start"}
STOP = {"event": "stop", "reason": "Ctrl-C"}
LINE = {"event": "line", "process": "release", "text": "3 tables made"}
ERROR = {"event": "error", "message": "it broke"}
RESULT = {"event": "result", "reverted": False}
COMMAND = {"event": "command", "command": ["uv", "pip install", "x" * 300]}
WARNING = {"event": "warning", "text": "Release 3 could not be removed"}


@contextlib.contextmanager
def _terminal(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Iterator[Callable[[], str]]:
    """A real terminal of 60 columns as stderr inside the block; a function that gives what it has shown."""
    for name in ("CI", "NO_COLOR", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm", **environment}.items():
        monkeypatch.setenv(name, value)
    shown: list[str] = []
    with open_terminal() as (controller, program), _as_stderr(program) as stderr:
        _resize(program, 60)
        # A terminal that nobody reads holds up who writes.
        reader = threading.Thread(target=lambda: shown.append(read_until(controller, "THE END")))
        reader.start()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", stderr)
            yield lambda: shown[0]
        stderr.write("THE END")
        stderr.flush()
        reader.join()


@contextlib.contextmanager
def _as_stderr(program: int) -> Iterator[TextIO]:
    """Make it descriptor 2, too: rich asks that for its size."""
    before = os.dup(2)
    os.dup2(program, 2)
    with os.fdopen(os.dup(program), "w") as stderr:
        try:
            yield stderr
        finally:
            os.dup2(before, 2)
            os.close(before)


def _resize(program: int, columns: int) -> None:
    fcntl.ioctl(program, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))


def _lines(printed: str) -> list[str]:
    """Lines without seconds."""
    return [re.sub(r"\d+\.\d+ s", "0 s", line).strip() for line in printed.splitlines()]


def test_one_host_on_a_terminal_shows_its_steps_with_their_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has nobody to wait for, and its result and error are shown by others."""
    with _terminal(monkeypatch) as terminal, progress.shown(["local"]) as show:
        for event in (GATE, STEP, STEP, STOP, ERROR, LINE):
            show("local", event)
    stopping = "stop      Ctrl-C: stopping at the next safe point …  0 s"
    assert _lines(terminal())[:-1] == ["fetch     Fetching  0 s"] * 2 + [stopping, "release   3 tables made"]


def test_a_step_that_is_cut_off_ends_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes next, an error, starts on a line of its own."""
    with _terminal(monkeypatch) as terminal, progress.shown(["local"]) as show:
        show("local", STEP)
    assert _lines(terminal()) == ["fetch     Fetching", "THE END"]


@pytest.mark.parametrize("hosts", [["local"], ["web1", "web10"]])
def test_without_a_terminal_every_step_is_a_line_when_it_begins(
    capsys: pytest.CaptureFixture[str], hosts: list[str]
) -> None:
    """The log of a job that hangs says where; grep finds what one host did, and how long each step took."""
    name = hosts[0]
    with progress.shown(hosts) as show:
        for event in (STEP, GATE, WARNING, LINE, COMMAND, RESULT):
            show(name, event)
    width = max(map(len, hosts))
    assert _lines(capsys.readouterr().err) == [
        f"0 s  {name:{width}}  {text}"
        for text in (
            "fetch     Fetching",
            "wait      Ready, waits for its turn",
            "warning   Release 3 could not be removed",
            "release   3 tables made",
            "end       Done (0 s)",
        )
    ]


def test_the_error_of_an_only_host_is_not_shown_twice(capsys: pytest.CaptureFixture[str]) -> None:
    """The command ends with it; of several hosts it says which one it was."""
    for hosts, count in ((["local"], 0), (["web1", "web2"], 1)):
        with progress.shown(hosts) as show:
            show(hosts[0], ERROR)
        assert capsys.readouterr().err.count("it broke") == count


def test_a_job_with_a_terminal_gets_lines_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """GitLab and others give one, and keep what was drawn over."""
    with _terminal(monkeypatch, CI="true") as terminal, progress.shown(["web1", "web2"]) as show:
        show("web1", STEP)
    shown = terminal()
    assert "\x1b" not in shown
    assert _lines(shown) == ["0 s  web1  fetch     Fetching", "THE END"]


def test_a_command_that_only_asks_shows_no_end_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    """What the hosts answered to `release status` follows at once."""
    with progress.shown(["web1", "web2"]) as show:
        show("web1", {"event": "result", "state": "running"})
        show("web2", ERROR)
    assert [line.split()[2:4] for line in capsys.readouterr().err.splitlines()] == [["web2", "end"]]


@pytest.mark.parametrize("hosts", [["web1"], ["web1", "web2"]])
def test_quiet_shows_warnings_alone(capsys: pytest.CaptureFixture[str], hosts: list[str]) -> None:
    """The command itself prints its summary, or its error."""
    with progress.shown(hosts, Verbosity.QUIET) as show:
        for event in (STEP, GATE, WARNING, LINE, COMMAND, STOP, RESULT):
            show("web1", event)
    assert capsys.readouterr().err == f"Warning: web1: {WARNING['text']}\n"


def test_verbose_shows_commands_as_a_shell_takes_them(capsys: pytest.CaptureFixture[str]) -> None:
    """A program after `python -c` is cut."""
    with progress.shown(["web1", "web2"], Verbosity.VERBOSE) as show:
        show("web1", COMMAND)
    assert _lines(capsys.readouterr().err) == [f"0 s  web1  command   uv 'pip install' {'x' * 20}…"]


def test_several_hosts_on_a_terminal_are_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten hosts that talk at the same time cannot be read as lines; names are text, never markup."""
    with _terminal(monkeypatch) as terminal, progress.shown(["web1", "web2"]) as show:
        show("web1", {**STEP, "text": "Fetching [red]"})
        show("", STOP)
    shown = terminal()
    assert "Ctrl-C: stopping" in shown
    assert re.search(r"web1 .*fetch .*Fetching \[red\]", shown)
    assert re.search(r"web2 .*connect ", shown)


def _last_frame(shown: str) -> list[str]:
    """The lines of the rows as they were drawn last."""
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).replace("\r", "\n").splitlines()
    return [line for line in lines if line.startswith("web")][-10:]


def test_ten_hosts_have_one_line_each_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the text has: long, with newlines, with escapes, or too wide after a resize."""
    hosts = [f"web{number}" for number in range(10)]
    with _terminal(monkeypatch) as terminal, progress.shown(hosts) as show:
        for host in hosts:
            show(host, {**STEP, "text": "\x1b[2Jhostile\n\n\t" + "long " * 100_000})
        _resize(sys.stderr.fileno(), 30)
        for host in hosts:
            show(host, GATE)
    frame = _last_frame(terminal())
    assert frame == [f"{host}  wait        0 s  Ready,…" for host in hosts]


def test_output_and_warnings_stay_above_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row shows the last step only: a warning, and what the release phase wrote, would be lost."""
    with _terminal(monkeypatch) as terminal, progress.shown(["web1", "web2"]) as show:
        for event in (WARNING, {**LINE, "text": "\x1b[31mone\ntwo"}, STEP, RESULT):
            show("web1", event)
        show("web2", RESULT)
    shown = terminal()
    assert "\x1b[31m" not in shown
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).splitlines()
    for text in ("web1  warning   Release 3 could not be removed", "web1  release   two"):
        assert any(text in line for line in plain), text
    ends = [line for line in _lines(shown) if re.search(r"web[12]  0 s", line)]
    assert len(ends) == 2


def test_times_of_steps_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host waits several times; what took no time is left out."""
    now = iter([0.0, 1.0, 3.0, 3.01, 5.0, 9.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    times = progress.Times()
    for step in ("wait", "fetch", "wait", "start", "end"):
        times.next(step)
    assert times.sentence() == "9.0 s: connect 1.0 s, wait 4.0 s, start 4.0 s"


def test_a_display_that_is_left_by_an_error_is_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second Ctrl-C: the cursor is there again."""
    with (
        _terminal(monkeypatch) as terminal,
        contextlib.suppress(KeyboardInterrupt),
        progress.shown(["web1", "web2"]),
    ):
        raise KeyboardInterrupt
    assert "\x1b[?25h" in terminal()
