"""The sample app's list of links with PostgreSQL: requests a second for a core that gunicorn keeps busy."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil

from bench.tools import stage, wrk
from bench.tools.rows import Row
from tests.support.servers import BIN, free_port, running_mirror

SECONDS = 10
# Run by the application's Python: the server of its own tests, with a password and TLS.
DATABASE = """
import sys
from databases import PostgreSQL, database
with database(PostgreSQL) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""


def run() -> Iterator[Row]:
    """One worker and the 20 links that `flask seed` adds. The time of PostgreSQL and wrk does not count."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "sample_app"
        python = install(folder)
        command = [str(python), "-c", DATABASE]
        with subprocess.Popen(
            command, cwd=folder / "tests", text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as server:
            url = server.stdout.readline().strip() if server.stdout else ""
            rate = measure(folder, {"PATH": os.environ["PATH"], "DATA_DIR": scratch, "DATABASE_URL": url})
            server.communicate()  # the end of its input ends it
    yield Row("board: list with PostgreSQL, per core", "1/s", rate, None, rate, ">= 500")


def install(folder: Path) -> Path:
    """Copy the sample app to `folder`, into a virtualenv of its own there. Returns its Python."""
    shutil.copytree(stage.CHECKOUT / "sample_app", folder, ignore=shutil.ignore_patterns(".*", "*.egg-info"))
    python = folder / ".venv" / "bin" / "python"
    with running_mirror() as mirror:
        mirror.run(BIN / "uv", "venv", folder / ".venv")
        options = ("--python", python, "--index-url", mirror.index_url("company/dev"))
        mirror.run(BIN / "uv", "pip", "install", *options, "-e", folder, "pytest", "aiosmtpd", timeout=300)
    return python


def measure(folder: Path, environment: Mapping[str, str]) -> float:
    """Requests a second of CPU time, of gunicorn's worker."""
    programs = folder / ".venv" / "bin"
    for command in ("deploy", "seed"):
        development = {**environment, "ENVIRONMENT": "development"}
        flask = [str(programs / "flask"), "--app", "sample_app", command]
        subprocess.run(flask, cwd=folder, env=development, check=True, capture_output=True)
    bind = f"127.0.0.1:{free_port()}"
    options = ("--config", "python:sample_app.gunicorn_config", "--workers", "1", "--bind", bind)
    production = {**environment, "ENVIRONMENT": "production", "SECRET_KEY": "of the benchmark"}
    with subprocess.Popen(
        [programs / "gunicorn", *options, "sample_app:create_app()"],
        cwd=folder,
        env=production,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as gunicorn:
        try:
            stage.wait_for(f"http://{bind}/")
            wrk.rate(f"http://{bind}/", seconds=2)
            [worker] = psutil.Process(gunicorn.pid).children()
            before = sum(worker.cpu_times()[:2])
            requests = wrk.rate(f"http://{bind}/", seconds=SECONDS) * SECONDS
            return requests / (sum(worker.cpu_times()[:2]) - before)
        finally:
            gunicorn.terminate()
