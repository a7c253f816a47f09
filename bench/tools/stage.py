"""Timed commands, waiting for a page, memory of the mirror, the sample app in many versions."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil
import requests

from tests.support.servers import BIN, Mirror

CHECKOUT = Path(__file__).parents[2]
# The circusd of a team that deploys by hand.
CIRCUS = """\
[circus]
endpoint = ipc://{folder}/ctl.sock
pubsub_endpoint = ipc://{folder}/pub.sock
multicast_endpoint =
check_delay = 1

[watcher:web]
cmd = {folder}/current/bin/gunicorn sample_app:create_app() -w 2 -b {bind} --no-control-socket
working_dir = {folder}
copy_env = True

[env:web]
ENVIRONMENT = development
DATA_DIR = {folder}/data
"""


def circus(folder: str, bind: str) -> str:
    """The configuration of the rival's circusd, which serves at `bind` what `folder`/current holds."""
    return CIRCUS.format(folder=folder, bind=bind)


def timed(command: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> float:
    """The seconds that `command` took. Raises RuntimeError with its output when it fails.

    It does not wait for the disk to take what was written before, by its rival perhaps.
    """
    os.sync()
    started = time.monotonic()
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return time.monotonic() - started


def wait_for(url: str, contains: str = "", seconds: float = 30) -> None:
    """Return as soon as `url` answers 200 with `contains` in its body. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(requests.RequestException):
            answer = requests.get(url, timeout=5)
            if answer.ok and contains in answer.text:
                return
        time.sleep(0.05)
    raise TimeoutError(f"{url} did not answer with {contains!r} within {seconds:.0f} s")


def memory(mirror: Mirror) -> float:
    """The resident memory of the server and of its child that reads pages, in MB."""
    status = json.loads(mirror.run(BIN / "mirror", "status", "--json").stdout)
    server = psutil.Process(status["pid"])
    return float(sum(process.memory_info().rss for process in (server, *server.children())) / 1e6)


def publish(mirror: Mirror, version: str) -> Path:
    """Build the sample app as `version`, upload it to company/dev, return its project folder."""
    project = mirror.home / "src" / version
    leave = shutil.ignore_patterns("dist", "build", "*.egg-info")
    shutil.copytree(CHECKOUT / "sample_app", project, ignore=leave)
    settings = project / "pyproject.toml"
    text, count = re.subn(r'(?m)^version = ".*"$', f'version = "{version}"', settings.read_text(), count=1)
    if not count:
        raise RuntimeError(f"{settings} has no version")
    settings.write_text(text)
    mirror.run("release", "build", cwd=project)
    mirror.run("release", "upload", cwd=project)
    return project
