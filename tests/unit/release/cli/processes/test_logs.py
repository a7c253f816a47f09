"""How `release logs` reads its options and prints lines."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from release.cli import main
from release.cli.processes import logs
from release.inspect.log_collector import Line

WEB = Line("2026-11-26T05:13:50.123456Z", "web1", "web", 43, 7, "GET / 200")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", {}),
        ("10m", {"ago": 600.0}),
        ("1d", {"ago": 86400.0}),
        ("2026-11-26T05:13", {"since": "2026-11-26T05:13:00.000000Z"}),
        ("2026-11-26T05:13:50.123Z", {"since": "2026-11-26T05:13:50.123000Z"}),
        ("2026-11-26 07:13+02:00", {"since": "2026-11-26T05:13:00.000000Z"}),
        ("2026-11-26", {"since": "2026-11-26T00:00:00.000000Z"}),
    ],
)
def test_since_is_a_span_or_a_time(value: str, expected: dict[str, object]) -> None:
    """A time that was copied from what is printed, for one."""
    context = click.Context(logs.show)
    assert logs._since(context, logs.show.params[0], value) == expected


def test_since_an_hour_is_today() -> None:
    """In UTC, as the printed times are; midnight may pass meanwhile."""
    before = datetime.now(UTC).date()
    since = logs._since(click.Context(logs.show), logs.show.params[0], "05:13")
    days = {before, datetime.now(UTC).date()}
    assert since in [{"since": f"{day}T05:13:00.000000Z"} for day in days]


@pytest.mark.parametrize(
    "wrong",
    ["10", "ten minutes", "99:99", "2026-13-01", "9999-12-31T23:59-14:00", "-5m", "9999w", "99999999999d"],
)
def test_a_wrong_since_says_how_to_write_it(tmp_path: Path, wrong: str) -> None:
    """Before any host is asked."""
    done = CliRunner().invoke(main.cli, ["-C", str(tmp_path), "logs", "local", "--since", wrong])
    assert done.exit_code == 2
    assert "write it as 10m, 2h or 1d" in done.output


def test_only_so_many_lines_can_be_asked_for(tmp_path: Path) -> None:
    """They are kept in memory."""
    done = CliRunner().invoke(main.cli, ["-C", str(tmp_path), "logs", "local", "-n", "9" * 20])
    assert done.exit_code == 2
    assert "1000000" in done.output


def test_a_wrong_pattern_is_refused_here(tmp_path: Path) -> None:
    """Hosts would fail one after the other."""
    done = CliRunner().invoke(main.cli, ["-C", str(tmp_path), "logs", "local", "--grep", "a(b"])
    assert done.exit_code == 2
    assert "this is no regular expression" in done.output


def test_lines_are_in_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """Time, host when there are several, process and release."""
    lines = [WEB, Line("", "web10", "release", 43, None, "of an earlier version")]
    logs.Printer(["web1", "web10"]).show(lines)
    logs.Printer(["web1"]).show([WEB, Line("", "web1", "forward", None, None, "no release")])
    assert capsys.readouterr().out == (
        "2026-11-26T05:13:50.123Z  web1   web.43  GET / 200\n"
        "-                         web10  release.43  of an earlier version\n"
        "2026-11-26T05:13:50.123Z  web.43  GET / 200\n"
        "-                         forward  no release\n"
    )


def test_each_line_is_one_row_and_a_long_name_moves_no_others(capsys: pytest.CaptureFixture[str]) -> None:
    """What a host calls its logs does not decide about the lines of others."""
    printer = logs.Printer([])
    printer.show([WEB._replace(process="x" * 2**20), WEB._replace(process="web\nforged"), WEB])
    _, second, third = capsys.readouterr().out.splitlines()
    assert "web forged.43 " in second
    assert third == f"2026-11-26T05:13:50.123Z  {'web.43':40}  GET / 200"


def test_bytes_and_controls_are_written_out(capsys: pytest.CaptureFixture[str]) -> None:
    """The terminal obeys none of them; UTF-8 is left alone."""
    logs.Printer([]).show([WEB._replace(text="\udcff\udc80 \x1b[2J \x00 \r \ud800 caf\u00e9 \u202e")])
    assert capsys.readouterr().out.endswith(
        "web.43  \\xff\\x80 \\x1b[2J \\x00 \\r \\ud800 caf\u00e9 \\u202e\n"
    )


def test_json_has_the_text_and_what_is_no_utf8_as_bytes_too(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON has no bytes, and programs refuse lone surrogates."""
    logs.print_json([WEB, WEB._replace(at="", pid=None, text="a\udcff\x1b")])
    one, two = map(json.loads, capsys.readouterr().out.splitlines())
    assert one == {
        "at": "2026-11-26T05:13:50.123456Z",
        "host": "web1",
        "process": "web",
        "release": 43,
        "pid": 7,
        "text": "GET / 200",
    }
    assert (two["at"], two["text"]) == (None, "a\ufffd\x1b")
    assert base64.b64decode(two["base64"]) == b"a\xff\x1b"


def test_processes_are_completed_from_the_procfile(tmp_path: Path) -> None:
    """And run, for one-offs."""
    (tmp_path / "Procfile").write_text("web: serve\nworker: work\nrelease: migrate\n")
    context = main.cli.make_context("release", ["-C", str(tmp_path), "logs"])
    parameter = logs.show.params[0]
    assert logs._processes(context, parameter, "") == ["web", "worker", "release", "run"]
    assert logs._processes(context, parameter, "w") == ["web", "worker"]


def test_the_usage_says_what_to_type() -> None:
    """The command has no word of its own."""
    done = CliRunner().invoke(main.cli, ["logs", "--help"], prog_name="release")
    assert done.output.startswith("Usage: release logs [OPTIONS] TARGET\n")


@pytest.mark.parametrize(
    ("group", "name"),
    [("logs", "drain"), ("ps", "restart"), ("ps", "show"), ("maintenance", "on"), ("jobs", "run")],
)
def test_a_target_that_is_named_like_a_command_is_reached_behind_show(
    tmp_path: Path, group: str, name: str
) -> None:
    """It was named before there was that command."""
    (tmp_path / "release.toml").write_text(f'[targets.{name}]\nhosts = ["web2"]\n')
    done = CliRunner().invoke(main.cli, ["-C", str(tmp_path), group, "show", name, "--limit", "web1"])
    assert getattr(done.exception, "message", "") == f"{name} has no host web1."
