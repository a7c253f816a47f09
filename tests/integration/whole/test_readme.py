"""The commands that the README shows, run as a reader would: one after the other, in one shell."""

import re
import sys
from pathlib import Path

import pytest

from tests.support.servers import clean_environment, free_port, run_command, short_home

CHECKOUT = Path(__file__).parents[3]
APP = "your-application"
FLASK = """\
from flask import Flask

app = Flask(__name__)


@app.get("/")
def home() -> str:
    return "Hello"
"""


def commands() -> str:
    """Every block of the README that is marked as shell, in order."""
    return "\n".join(re.findall(r"```sh\n(.*?)```", (CHECKOUT / "README.md").read_text(), re.DOTALL))


@pytest.mark.timeout(300)
def test_the_commands_of_the_readme_work() -> None:
    """A README that does not work costs every new user an hour."""
    with short_home() as home:
        (home / APP).mkdir()
        (home / APP / "app.py").write_text(FLASK)
        mirror = str(free_port())
        (home / "mirror.toml").write_text(f"port = {mirror}\n")
        environment = clean_environment(home)
        run_command(sys.executable, "-m", "venv", home / "venv", env=environment)
        environment["PATH"] = f"{home}/venv/bin:{environment['PATH']}"
        script = commands().replace(":3141/", f":{mirror}/")
        other_port = f"sed -i 's/127.0.0.1:8000/127.0.0.1:{free_port()}/' release.toml"
        script = script.replace("release build", f"{other_port}\nrelease build", 1)
        assert script.count("mirror ") > 5
        try:
            run_command("sh", "-eux", "-c", script, env=environment, cwd=home, timeout=240)
        finally:
            run_command("release", "-C", APP, "stop", "local", env=environment, cwd=home, status=None)
            run_command("mirror", "stop", env=environment, cwd=home, status=None)
