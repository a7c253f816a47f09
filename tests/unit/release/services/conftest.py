"""A program that is found as ssh."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make ssh a shell script."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def says(script: str) -> None:
        program = tmp_path / "ssh"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    return says
