"""The OpenAPI documents, held against the running application by schemathesis."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import support
from flask import Flask
from test_api import add_user

PROJECT = Path(__file__).parents[1]
PHASES = ["Examples", "Coverage", "Fuzzing", "Stateful"]


@pytest.fixture
def server(app: Flask) -> Iterator[str]:
    """The URL where gunicorn serves the application."""
    folder, port = app.config["SETTINGS"].data_dir, support.free_port()
    command = ["gunicorn", "sample_app:create_app()", "--config", "python:sample_app.gunicorn_config"]
    with support.program(folder, *command, "--bind", f"127.0.0.1:{port}", API_RATE="1000000"):
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_application_does_what_its_document_says(server: str, version: str) -> None:
    """For good and bad requests alike, alone and in sequence: schemathesis.toml says how they are made."""
    token = f"Authorization: {add_user()['Authorization']}"
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{server}/api/{version}/openapi.json"]
    done = subprocess.run(
        [*command, "--header", token, "--wait-for-schema", "120", "--no-color"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr
    assert re.findall("✅ (Examples|Coverage|Fuzzing|Stateful)\n", done.stdout) == PHASES, done.stdout
