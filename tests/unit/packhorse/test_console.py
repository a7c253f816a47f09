"""packhorse.console: what a user sees of an error, and with which exit status a script goes on."""

import os
import pty
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from packhorse import console
from packhorse.errors import PackhorseError


class SpecialError(PackhorseError):
    """An error with an exit status of its own."""

    exit_code = 7


@click.group()
def cli() -> None:
    """A program with every way to end."""


@cli.command()
def expected() -> None:
    raise PackhorseError("broken.toml: no such file", "Create it.", detail="line 1\nline 2\n")


@cli.command()
def special() -> None:
    raise SpecialError("a", "b")


@cli.command()
def bug() -> None:
    raise ZeroDivisionError


@cli.command()
def interrupted() -> None:
    raise KeyboardInterrupt


@cli.command()
@click.pass_context
def chosen(context: click.Context) -> None:
    context.exit(3)


@cli.command()
def fine() -> None:
    console.echo("done")


def _run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[object, str]:
    monkeypatch.setattr(sys, "argv", ["program", *arguments])
    with pytest.raises(SystemExit) as ended:
        console.run(cli)
    return ended.value.code, capsys.readouterr().err


def test_expected_trouble_is_two_lines_after_its_detail(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What happened, what to do now; no traceback, no colour where it is not a terminal."""
    status, shown = _run(monkeypatch, capsys, "expected")
    assert (status, shown) == (1, "line 1\nline 2\nError: broken.toml: no such file\nHint: Create it.\n")


@pytest.mark.parametrize(
    ("command", "status"), [("fine", 0), ("chosen", 3), ("special", 7), ("unknown", 2), ("interrupted", 130)]
)
def test_the_exit_status_says_how_it_ended(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, status: int
) -> None:
    """Scripts decide by it."""
    assert _run(monkeypatch, capsys, command)[0] == status


def test_an_interruption_says_that_nothing_is_half_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who presses Ctrl-C wonders."""
    assert "run the command again" in _run(monkeypatch, capsys, "interrupted")[1]


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody has to repair it."""
    monkeypatch.setattr(sys, "argv", ["program", "bug"])
    with pytest.raises(ZeroDivisionError):
        console.run(cli)


@pytest.mark.parametrize(
    "body",
    [
        "for _ in range(100_000): click.echo('a line of a log')",
        "console.echo_rows([('', None, 'a line')])\n    while True: console.echo_rows([])",
    ],
)
def test_a_reader_that_has_gone_ends_the_program_without_words(body: str) -> None:
    """`release logs local | head` is no mistake; nor is it with -f, while nothing is written."""
    head = "import click; from packhorse import console\n@click.command()\ndef many():\n"
    code = f"{head}    {body}\nconsole.run(many)"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        program.stdout.readline()
        program.stdout.close()
        assert program.stderr.read() == ""
        assert program.wait() == 1


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&- 2>&-"])
def test_a_stream_that_the_caller_has_closed_leads_nowhere(closed: str) -> None:
    """A file that is opened next would get its number, and all that is printed."""
    body = """
import click, sys
from packhorse import console
@click.command()
def cli():
    sys.exit([file.fileno() for file in (sys.stdin, sys.stdout, sys.stderr)] != [0, 1, 2])
console.run(cli)
"""
    command = f"exec {sys.executable} -c {shlex.quote(body)} {closed}"
    assert subprocess.run(["sh", "-c", command], check=False).returncode == 0  # noqa: S607


def test_json_keeps_the_order_of_its_keys(capsys: pytest.CaptureFixture[str]) -> None:
    """People read it too."""
    console.emit_json({"b": 1, "a": [2]})
    assert capsys.readouterr().out == '{\n  "b": 1,\n  "a": [\n    2\n  ]\n}\n'


def test_progress_is_one_line_on_stderr_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The log of a CI job is no place for a spinner."""
    with console.working("building"):
        pass
    assert tuple(capsys.readouterr()) == ("", "building\n")


def test_results_go_to_stdout_while_a_spinner_turns_on_the_terminal(tmp_path: Path) -> None:
    """`mirror init > changes.txt` must write the changes into the file."""
    code = (
        "import click; from packhorse import console\nwith console.working('at it'): click.echo('the result')"
    )
    ours, terminal = pty.openpty()
    with (tmp_path / "out").open("wb") as out:
        subprocess.run(
            [sys.executable, "-c", code],
            stdout=out,
            stderr=terminal,
            env={**os.environ, "TERM": "xterm"},
            check=True,
        )
    os.close(terminal)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert (tmp_path / "out").read_text() == "the result\n"
    assert "at it" in shown
    assert "the result" not in shown


def test_no_colour_is_shown_to_who_asked_for_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """https://no-color.org"""
    monkeypatch.setenv("NO_COLOR", "1")
    console.show(PackhorseError("a", "b"))
    assert capsys.readouterr().err == "Error: a\nHint: b\n"


HOSTILE = [
    "\x1b[2J",  # clears the screen
    "\x1b]0;title\x07",  # sets the title
    "\x9b31m",  # the same as ESC [, in one character
    "\x1bP+q\x1b\\\\",  # asks the terminal, which answers as the keyboard
    "a\rb",  # hides a
    "a\x08b",
    "a\x7f",
    "\x0e",  # another character set
    "user\u202etxt.exe",  # shows another name
    "\u2066\u2069\u200f\u061c",
    "a\u2028b",
    "a\x85b",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_terminal_obeys_nothing_that_others_wrote(text: str) -> None:
    """An application's log may hold what its visitors sent; a server's error what it likes."""
    shown = console.printable(text)
    assert shown.isprintable(), shown


def test_text_of_any_language_stays_as_it_is() -> None:
    """A safe log that nobody can read is of no use. A joiner is a letter's form, and a part of emoji."""
    text = "\tnaïve 東京 שלום नमस्ते क\u094d\u200dष 👩\u200d💻 \\x1b €\n"
    assert console.printable(text) == text


def test_errors_and_lines_are_shown_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    """They quote what a program or a server said."""
    console.show(PackhorseError("a\x1b[2J", "b\x9b", detail="c\rd\n\te"))
    console.echo("f\x07")
    out, err = capsys.readouterr()
    assert out == "f\\x07\n"
    assert err == "c\\rd\n\te\nError: a\\x1b[2J\nHint: b\\x9b\n"


def test_bytes_that_are_no_text_are_written_out(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """A value of the configuration may have them; a file gets them as they are."""
    console.echo(os.fsdecode(b"a\xffb"))
    console.emit_bytes(b"a\xffb")
    assert capfdbinary.readouterr().out == b"a\\udcffb\na\xffb"


def test_what_destroys_asks_or_wants_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A script says --yes; a person says y."""
    console.ask_first("Remove it?", yes=True)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(PackhorseError, match="Nobody can be asked here"):
        console.ask_first("Remove it?", yes=False)


def test_what_destroys_much_wants_its_name_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A "y" is typed before the question is read."""
    console.ask_for_name("It is full.", "a/b", yes=True)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(PackhorseError, match=r"It is full\. Nobody can be asked here"):
        console.ask_for_name("It is full.", "a/b", yes=False)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    answers = iter(["a/b", "y"])
    monkeypatch.setattr("click.prompt", lambda *_, **__: next(answers))
    console.ask_for_name("It is full.", "a/b", yes=False)
    with pytest.raises(PackhorseError, match="nothing was removed"):
        console.ask_for_name("It is full.", "a/b", yes=False)
