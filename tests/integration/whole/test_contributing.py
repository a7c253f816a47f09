"""Run the commands of docs/contributing.md as a new colleague would: one after the other, in one shell."""

import re
from pathlib import Path

import pytest

from tests.support.servers import clean_environment, free_port, run_command, short_home

CHECKOUT = Path(__file__).parents[3]


@pytest.mark.timeout(600)
def test_the_commands_of_the_contributing_page_work() -> None:
    """The first hour of a new colleague: every command must do what the page says."""
    page = (CHECKOUT / "docs" / "contributing.md").read_text()
    script = "\n".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL))
    with short_home() as home:
        # The whole suite is what runs this test; the rest keeps its state apart.
        script = script.replace("make test-unit", "make --dry-run test-unit")
        script = script.replace("/tmp/packhorse-debug", f"{home}/debug")
        (home / "debug").mkdir()
        (home / "debug" / "mirror.toml").write_text(f"port = {free_port()}\n")
        assert script.count("mirror ") > 3
        environment = clean_environment(home)
        try:
            run_command("sh", "-eux", "-c", script, env=environment, cwd=CHECKOUT, timeout=570)
        finally:
            stopped = {**environment, "PACKHORSE_HOME": str(home / "debug")}
            run_command("mirror", "stop", env=stopped, cwd=CHECKOUT, status=None)
