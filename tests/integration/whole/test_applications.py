"""What docs/applications.md shows, done by a reader on this machine, and what it says of the result."""

import json
from pathlib import Path

from tests.support import documents
from tests.support.servers import BIN, Mirror, free_port, run_command


def test_an_application_gets_what_the_page_says(mirror_server: Mirror, tmp_path: Path) -> None:
    """Its files, its commands, and the environment and folders that the application reports."""
    bind, printed = f"127.0.0.1:{free_port()}", ""
    environment = {**mirror_server.environment, "SHELL": "/bin/sh"}
    try:
        for language, filename, text in documents.blocks("applications.md"):
            here = text.replace("127.0.0.1:8000", bind)
            if filename:
                (tmp_path / filename).write_text(here)
            elif language == "sh":
                printed += run_command("sh", "-eux", "-c", here, env=environment, cwd=tmp_path).stdout
        answer = json.loads(printed[printed.index("\n{") : printed.index("\n}") + 2])
    finally:
        run_command(BIN / "release", "stop", "local", env=environment, cwd=tmp_path, status=None)
    data = Path(answer.pop("DATA_DIR"))
    assert answer == {
        "PACKHORSE_APP": "shop",
        "PACKHORSE_RELEASE": "1",
        "PYTHONUNBUFFERED": "1",
        "GREETING": "Hello",
        "SHELL": None,
        "work": ["prices.json"],
    }
    assert (data / "visits").exists()
    assert "a visit" in printed
