"""The commands that the README shows, run as a reader would: one after the other, in one shell."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.servers import clean_environment, free_port, run_command, short_home

CHECKOUT = Path(__file__).parents[3]


def commands() -> str:
    """Every block of the README that is marked as shell, in order."""
    return "\n".join(re.findall(r"```sh\n(.*?)```", (CHECKOUT / "README.md").read_text(), re.DOTALL))


@pytest.mark.timeout(300)
def test_the_commands_of_the_readme_work() -> None:
    """A README that does not work costs every new user an hour."""
    with short_home() as home:
        listed = subprocess.check_output(["git", "ls-files", "-z", "sample_app"], cwd=CHECKOUT, text=True)  # noqa: S607
        for name in filter(None, listed.split("\0")):
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, home / name)
        mirror, app = str(free_port()), free_port()
        (home / "mirror.toml").write_text(f"port = {mirror}\n")
        with (home / "sample_app" / "release.toml").open("a") as settings:
            settings.write(f'\n[targets.local]\nbind = "127.0.0.1:{app}"\n')
        environment = clean_environment(home)
        run_command(sys.executable, "-m", "venv", home / "venv", env=environment)
        environment["PATH"] = f"{home}/venv/bin:{environment['PATH']}"
        script = commands().replace(":3141/", f":{mirror}/")
        assert script.count("mirror ") > 5
        try:
            run_command("sh", "-eux", "-c", script, env=environment, cwd=home, timeout=240)
        finally:
            run_command(
                "release", "-C", "sample_app", "stop", "local", env=environment, cwd=home, status=None
            )
            run_command("mirror", "stop", env=environment, cwd=home, status=None)
