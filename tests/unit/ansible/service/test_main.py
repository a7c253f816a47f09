"""The promises of packhorse_service.__main__."""

import io
import json
import sys
from pathlib import Path

import pytest
from packhorse_service import __main__ as program
from packhorse_service import state


@pytest.fixture
def no_databases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "FOLDER", tmp_path / "services")


@pytest.mark.parametrize(
    ("command", "text", "status", "answer"),
    [
        ("list", "", 0, {"services": []}),
        ("list", "[]", 1, {"error": "Standard input is no JSON object.", "hint": "Use `release services`."}),
        ("list", "{", 1, {"error": "Standard input is no JSON object.", "hint": "Use `release services`."}),
        (
            "rotate",
            '{"name": "a_b_c"}',
            1,
            {
                "error": "There is no database a_b_c on this host; there are: none.",
                "hint": "Bring it: release provision",
            },
        ),
    ],
)
@pytest.mark.usefixtures("no_databases")
def test_a_command_takes_an_object_and_answers_with_one(  # noqa: PLR0917  # a row of the table
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    text: str,
    status: int,
    answer: dict[str, object],
) -> None:
    """Also when it fails: what happened, and what to do now."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert program.main([command]) == status
    assert json.loads(capsys.readouterr().out) == answer


def test_a_disk_without_space_is_said_in_two_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Here it is a file in the place of the folder."""
    (tmp_path / "services").touch()
    monkeypatch.setattr(state, "FOLDER", tmp_path / "services")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"name": "a_b_c"}')))
    assert program.main(["rotate"]) == 1
    assert "File exists" in json.loads(capsys.readouterr().out)["error"]


def test_an_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """With those that there are."""
    assert program.main(["--help"]) == 2
    assert "apply|list|credentials|rotate|rotate-finish|remove" in capsys.readouterr().err
