"""devpi-server's own tests of the views and the mirror that we replace, with our plugin loaded."""

import os
import sys
import tarfile
from importlib import metadata
from pathlib import Path
from urllib.parse import urljoin

import pytest
import requests

from tests.support.servers import BIN, Mirror, running_mirror
from tests.support.upstream import JSON

CHECKOUT = Path(__file__).parents[3]
# What the suite imports that we do not.
NEEDED = ("beautifulsoup4", "pytest-asyncio", "soupsieve", "webtest")
# Views of devpi's own: users, permissions, settings of indexes. Hashing passwords takes minutes.
NOT_OURS = "not RestrictModify and not UserThings and not IndexThings and not Permissions"
MODULES = ("test_mirror.py", "test_mirror_no_project_list.py", "test_views.py")


@pytest.mark.timeout(900)
def test_devpis_own_suite_passes_but_for_what_is_named(tmp_path: Path) -> None:
    """Run devpi-server's own tests, without those in tests.support.devpi_suite.LEFT_OUT."""
    with running_mirror() as mirror:
        suite = unpacked(mirror, tmp_path)
        extra = tmp_path / "extra"
        install = ("install", "--quiet", "--no-deps", "--target", extra)
        index = ("--index-url", mirror.index_url("root/pypi"))
        mirror.run(BIN / "python", "-m", "pip", *install, *index, *NEEDED)
        path = os.pathsep.join(map(str, (extra, CHECKOUT)))
        done = mirror.run(
            *(
                "env",
                f"PYTHONPATH={path}",
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-p",
                "tests.support.devpi_suite",
            ),
            *("-p", "no:cacheprovider", "--timeout", "120", "-rfE", "-k", NOT_OURS, "--tb", "short"),
            *(f"test_devpi_server/{module}" for module in MODULES),
            cwd=suite,
            timeout=850,
            status=None,
        )
    assert done.returncode == 0, done.stdout[-20_000:]
    assert " passed, " in done.stdout


def unpacked(mirror: Mirror, folder: Path) -> Path:
    """The sdist of the devpi-server that is installed, which brings its tests."""
    page = f"{mirror.index_url('root/pypi')}devpi-server/"
    name = f"devpi_server-{metadata.version('devpi-server')}.tar.gz"
    files = requests.get(page, headers={"Accept": JSON}, timeout=60).json()["files"]
    (url,) = (file["url"] for file in files if file["filename"] == name)
    sdist = folder / name
    sdist.write_bytes(requests.get(urljoin(page, url), timeout=60).content)
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    return folder / name.removesuffix(".tar.gz")
