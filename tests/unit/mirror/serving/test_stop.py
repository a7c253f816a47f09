"""mirror.serving.stop: what needs no server."""

import subprocess
import sys
from pathlib import Path

from mirror.serving import stop
from mirror.state import Folder


def test_nothing_to_stop_is_no_trouble(tmp_path: Path) -> None:
    """`make demo-stop` twice."""
    assert stop.stop(Folder(tmp_path)) is None


def test_it_loads_neither_settings_nor_an_http_client() -> None:
    """They would be two thirds of what `mirror stop` takes."""
    code = (
        "import sys, mirror.cli.main, mirror.serving.stop; print({'httpx', 'pydantic'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-Ic", code], check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"
