"""The commands of docs/offline.md: a disk is filled outside, and a machine inside is set up from it alone."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import documents
from tests.support.servers import clean_environment, free_port, run_command, short_home


@pytest.mark.needs("ip")
@pytest.mark.needs_root
@pytest.mark.timeout(600)
def test_a_site_without_the_internet_is_set_up_from_a_disk() -> None:
    """Inside nothing is reached but loopback: the commands there run in a network namespace of their own."""
    with short_home() as home:
        checkout = home / "checkout"
        subprocess.run(["git", "clone", "--quiet", documents.CHECKOUT, checkout], check=True)  # noqa: S607
        (checkout / "your-application").mkdir()
        shutil.copy(checkout / "sample_app" / "pylock.toml", checkout / "your-application")
        port = str(free_port())
        (checkout / "mirror.toml").write_text(f"port = {port}\n")
        environment = clean_environment(home)
        environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
        try:
            for language, _, text in documents.blocks("offline.md"):
                if language == "sh":
                    is_inside = "admin/bin" in text
                    alone = ["unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "-"]
                    script = ["sh", "-eux", "-c", text.replace(":3141/", f":{port}/")]
                    command = [*(alone if is_inside else []), *script]
                    run_command(*command, env=environment, cwd=checkout, timeout=300)
            assert list((checkout / "try").glob("flask-*.whl"))
        finally:
            for folder in ("outside", "inside"):
                stopped = {**environment, "PACKHORSE_HOME": str(checkout / folder)}
                run_command("mirror", "stop", env=stopped, cwd=checkout, status=None)
