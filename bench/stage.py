"""A temporary home with our mirror serving in it, and the commands of this installation."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import requests

BIN = Path(sys.executable).parent
CHECKOUT = Path(__file__).parent.parent


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


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


@dataclass(frozen=True)
class Stage:
    """A mirror that serves `index` from a home of its own; `run` starts a command there."""

    home: Path
    url: str

    @property
    def index(self) -> str:
        """The company index that everything is uploaded to."""
        return f"{self.url}/company/dev"

    @property
    def environment(self) -> dict[str, str]:
        """Our environment, with the home and the index of this stage."""
        path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, "PACKHORSE_HOME": str(self.home), "RELEASE_INDEX": self.index, "PATH": path}

    def run(self, *command: str, cwd: Path = CHECKOUT) -> float:
        """Run a command to its end and return the seconds it took. Raises RuntimeError with its output."""
        return timed(command, cwd, self.environment)


def timed(command: Sequence[str], cwd: Path, environment: dict[str, str]) -> float:
    """The seconds that `command` took. Raises RuntimeError with its output when it fails."""
    started = time.monotonic()
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return time.monotonic() - started


@contextlib.contextmanager
def mirror() -> Iterator[Stage]:
    """A fresh mirror of ours on a free port, stopped and removed at the end."""
    home = Path(tempfile.mkdtemp(prefix="ph", dir="/tmp"))  # short: UNIX sockets live below it
    port = free_port()
    (home / "mirror.toml").write_text(f"port = {port}\n")
    stage = Stage(home, f"http://127.0.0.1:{port}")
    try:
        stage.run("mirror", "--config", str(home / "mirror.toml"), "init")
        stage.run("mirror", "--config", str(home / "mirror.toml"), "serve", "--background")
        yield stage
    finally:
        with contextlib.suppress(RuntimeError):  # it may never have started
            stage.run("mirror", "--config", str(home / "mirror.toml"), "stop")
        shutil.rmtree(home, ignore_errors=True)


def publish(stage: Stage, version: str) -> None:
    """Build the sample app as `version` and upload it to the stage's index."""
    project = stage.home / "src" / version
    shutil.copytree(
        CHECKOUT / "sample_app", project, ignore=shutil.ignore_patterns("dist", "build", "*.egg-info")
    )
    settings = project / "pyproject.toml"
    settings.write_text(settings.read_text().replace('version = "0.1.0"', f'version = "{version}"', 1))
    stage.run("release", "-C", str(project), "build")
    stage.run("release", "-C", str(project), "upload")
