"""The promises of packhorse_service.backups.__main__."""

import io
import json
import sys
from pathlib import Path

import pytest
from packhorse_service import state
from packhorse_service.backups import __main__ as program


@pytest.mark.parametrize("text", [b"x", b"[]", b"[" * 60_000, b"\xff"])
def test_what_is_no_request_is_answered_in_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: bytes
) -> None:
    """As packhorse-service does."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert program.main(["list"]) == 1
    assert json.loads(capsys.readouterr().out)["error"] == "Standard input is no JSON object."


def test_an_error_of_the_system_is_answered_in_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Here it is a file in the place of the folder; a full disk is another one."""
    (tmp_path / "services").touch()
    monkeypatch.setattr(state, "FOLDER", tmp_path / "services")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"{}")))
    assert program.main(["list"]) == 1
    assert "Not a directory" in json.loads(capsys.readouterr().out)["error"]
