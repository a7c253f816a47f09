"""devpi-server's own tests with our plugin loaded, and those of devpi-client that talk to a server."""

import os
import sys
import tarfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from urllib.parse import urljoin

import pytest
import requests

from tests.support.servers import BIN, Mirror
from tests.support.upstream import JSON

CHECKOUT = Path(__file__).parents[3]
# What the suites import that we do not.
NEEDED = ("beautifulsoup4", "mock", "pytest-asyncio", "soupsieve", "webtest")
# Modules of devpi-client that talk to a server without building packages or running tox.
CLIENT_MODULES = ("functional", "index", "list_remove", "login", "user")
# For the servers that the client's suite starts, as in mirror/serving/command.py: devpi's own takes seconds.
CHEAP_KEY = (
    *("DEVPISERVER_ARGON2_MEMORY_COST=8192", "DEVPISERVER_ARGON2_TIME_COST=1"),
    "DEVPISERVER_ARGON2_PARALLELISM=1",
)
# The same tests of `functional` are left out of devpi-server's suite: devpi_suite.py has the reasons.
CLIENT_LEFT_OUT = (
    *("test_create_and_delete_mirror_index", "test_deleted_package", "test_download_release_error"),
    *("test_missing_package", "test_no_releases"),
    "test_toxresult",  # and test_toxresult_forbidden: results of tests without a login
    "test_passwd_empty",  # users give themselves no empty password
    "test_mod_combined",  # goes on with a login whose password has been changed
)


@pytest.mark.needs("nginx")
@pytest.mark.timeout(1500)
def test_devpi_servers_own_suite_passes_but_for_what_is_named(mirror_server: Mirror, tmp_path: Path) -> None:
    """All of its modules, without the tests in tests.support.devpi_suite.LEFT_OUT."""
    suite = unpacked(mirror_server, "devpi-server", tmp_path)
    _run(mirror_server, suite, tmp_path, "-p", "tests.support.devpi_suite", "-n", "2", "test_devpi_server")


@pytest.mark.timeout(1500)
def test_devpi_clients_own_suite_passes_but_for_what_is_named(mirror_server: Mirror, tmp_path: Path) -> None:
    """Against the devpi-server that it finds, which has our plugin."""
    suite = unpacked(mirror_server, "devpi-client", tmp_path)
    modules = [f"testing/test_{name}.py" for name in CLIENT_MODULES]
    chosen = ("-k", f"not ({' or '.join(CLIENT_LEFT_OUT)})", *modules)
    _run(mirror_server, suite, tmp_path, *chosen, settings=CHEAP_KEY)


def _run(mirror: Mirror, suite: Path, folder: Path, *options: str, settings: Sequence[str] = ()) -> None:
    extra = folder / "extra"
    install = ("install", "--quiet", "--no-deps", "--target", extra)
    index = ("--index-url", mirror.index_url("root/pypi"))
    mirror.run(BIN / "python", "-m", "pip", *install, *index, *NEEDED)
    path = os.pathsep.join(map(str, (extra, CHECKOUT)))
    # The suites upload text as archives, to servers of their own.
    python = ("env", f"PYTHONPATH={path}", "DEVPISERVER_SKIP_UPLOAD_CHECKS=1", *settings, sys.executable)
    quiet = ("-q", "-p", "no:cacheprovider", "--timeout", "120", "-rfE", "--tb", "short")
    done = mirror.run(*python, "-m", "pytest", *quiet, *options, cwd=suite, timeout=1450, status=None)
    assert done.returncode == 0, done.stdout[-20_000:]
    assert " passed, " in done.stdout


def unpacked(mirror: Mirror, project: str, folder: Path) -> Path:
    """The sdist of the version of `project` that is installed, which brings its tests."""
    page = f"{mirror.index_url('root/pypi')}{project}/"
    name = f"{project.replace('-', '_')}-{metadata.version(project)}.tar.gz"
    files = requests.get(page, headers={"Accept": JSON}, timeout=60).json()["files"]
    (url,) = (file["url"] for file in files if file["filename"] == name)
    sdist = folder / name
    sdist.write_bytes(requests.get(urljoin(page, url), timeout=60).content)
    with tarfile.open(sdist) as archive:
        # Debian 12 has Python 3.11.2, without the argument `filter` and without data_filter (PEP 706).
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(folder)  # noqa: S202 (devpi's own)
    return folder / name.removesuffix(".tar.gz")
