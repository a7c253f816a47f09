"""`release deploy local` beside the usual script: virtualenv, pip install, symlink, `circusctl restart`."""

import contextlib
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from bench.tools import stage
from bench.tools.rows import Row
from tests.support.load_client import Load
from tests.support.servers import BIN, Mirror, free_port, running_mirror

VERSIONS = ["0.1.1", "0.1.2", "0.1.3", "0.1.4"]
ENVIRONMENT = "development"  # of the sample app: it asks for no secrets then

# What people write who have no tool. Its dependencies are in pip's cache after the first run.
SCRIPT = """\
set -eu
python -m venv "releases/$1"
"releases/$1/bin/pip" install --quiet --index-url "$INDEX_URL" "sample-app==$1"
"releases/$1/bin/flask" --app sample_app deploy
ln -sfn "releases/$1" current
circusctl --endpoint "$ENDPOINT" restart web
"""


def run() -> Iterator[Row]:
    """Deploy the same versions both ways in turn, each under a client that never pauses."""
    first, *others = VERSIONS
    with running_mirror() as here:
        for version in VERSIONS:
            stage.publish(here, version)
        with ours(here, first) as our_side, rival(here, first) as rival_side:
            for version in others:
                our_side.measure(version)
                rival_side.measure(version)
    ratio = statistics.median(b / a for a, b in zip(our_side.seconds, rival_side.seconds, strict=True))
    mine, other = (statistics.median(side.seconds) for side in (our_side, rival_side))
    yield Row("deploy: wall time", "s", mine, other, ratio, ">= 5")
    yield Row("deploy: failed requests", "count", our_side.failed, rival_side.failed, our_side.failed, "<= 0")
    slow, slower = our_side.slowest, rival_side.slowest
    yield Row("deploy: slowest request", "s", slow, slower, slow / slower, "<= 1")


class Side:
    """One way to deploy: the command for a version, and what it has cost so far."""

    def __init__(self, here: Mirror, port: int, folder: Path, command: list[str], **extra: str) -> None:
        self.environment = {**here.environment, **extra}
        self.port = port
        self.folder = folder
        self.command = command
        self.seconds: list[float] = []
        self.failed = 0
        self.slowest = 0.0

    def deploy(self, version: str) -> float:
        """Deploy `version` and return the seconds that the command took."""
        command = [part.replace("VERSION", version) for part in self.command]
        return stage.timed(command, self.folder, self.environment)

    def measure(self, version: str) -> None:
        """Deploy `version` under load, until the new version is what the client gets."""
        with Load(self.port) as load:
            seconds = self.deploy(version)
            ended = time.monotonic()  # circusctl does not wait for the new version
            stage.wait_for(f"http://127.0.0.1:{self.port}/version", contains=version)
            self.seconds.append(seconds + time.monotonic() - ended)
        self.failed += load.failed
        self.slowest = max(self.slowest, load.slowest)


@contextlib.contextmanager
def ours(here: Mirror, first: str) -> Iterator[Side]:
    """The sample app deployed by `release`, its dependencies in the cache."""
    port, project = free_port(), here.home / "src" / first
    (project / "release.toml").write_text(
        f'[targets.local]\nbind = "127.0.0.1:{port}"\nenv.ENVIRONMENT = "{ENVIRONMENT}"\n'
    )
    side = Side(here, port, project, ["release", "deploy", "local", "sample-app==VERSION"])
    side.deploy(first)
    try:
        yield side
    finally:
        stage.timed(["release", "stop", "local"], project, side.environment)


@contextlib.contextmanager
def rival(here: Mirror, first: str) -> Iterator[Side]:
    """The sample app deployed by the usual script, its dependencies in the cache."""
    port, folder = free_port(), here.home / "usual"
    (folder / "data").mkdir(parents=True)
    (folder / "circus.ini").write_text(stage.circus(str(folder), f"127.0.0.1:{port}"))
    extra = {
        "INDEX_URL": here.index_url("company/dev"),
        "ENDPOINT": f"ipc://{folder}/ctl.sock",
        "PIP_CACHE_DIR": str(here.home / "cache" / "pip"),
        "PIP_CONFIG_FILE": "/dev/null",
        "ENVIRONMENT": ENVIRONMENT,
        "DATA_DIR": f"{folder}/data",
    }
    side = Side(here, port, folder, ["sh", "-c", SCRIPT, "deploy", "VERSION"], **extra)
    with contextlib.suppress(RuntimeError):  # circusd does not run yet: the script's last line fails
        side.deploy(first)
    with (folder / "log").open("wb") as log:
        command = [str(BIN / "circusd"), "circus.ini"]
        circusd = subprocess.Popen(command, cwd=folder, env=side.environment, stdout=log, stderr=log)
    try:
        stage.wait_for(f"http://127.0.0.1:{port}/version", contains=first)
        yield side
    finally:
        circusd.terminate()
        circusd.wait()
