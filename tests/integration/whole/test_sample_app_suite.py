"""The sample application's own tests and types, in a virtualenv of its own, as its README says."""

import shutil
from pathlib import Path

import pytest

from tests.support.servers import BIN, Mirror

SOURCES = Path(__file__).parents[3] / "sample_app"
LEFT = shutil.ignore_patterns(".*", "dist", "data", "*.egg-info", "__pycache__", "test-output")


@pytest.mark.needs("chromium", "pg_ctlcluster", "mariadbd", "mariadb", "redis-server", "collectd")
@pytest.mark.timeout(1500)
def test_the_sample_application_passes_its_own_tests(mirror_server: Mirror, tmp_path: Path) -> None:
    """With real PostgreSQL, MariaDB, Redis, SMTP, StatsD and Chromium, which its tests start."""
    folder = shutil.copytree(SOURCES, tmp_path / "sample_app", ignore=LEFT)
    python = folder / ".venv" / "bin" / "python"
    options = ("--python", python, "--index-url", mirror_server.index_url("company/dev"))
    mirror_server.run(BIN / "uv", "venv", folder / ".venv", cwd=folder)
    install = ("pip", "install", *options, "--editable", ".", "--group", "dev")
    mirror_server.run(BIN / "uv", *install, cwd=folder, timeout=300)
    mirror_server.run(python, "-m", "mypy", cwd=folder, timeout=300)
    said = mirror_server.run(python, "-m", "pytest", cwd=folder, timeout=900).stdout
    assert "skipped" not in said, said  # they leave out what is not installed, which here is
