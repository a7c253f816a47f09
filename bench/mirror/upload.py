"""An index with 3,000 files in one project: from the upload to the next page."""

import base64
import statistics
import time
from collections.abc import Iterator

import requests

from bench.tools.rows import Row
from tests.support.dists import Dist, wheel
from tests.support.servers import Mirror, running_mirror
from tests.support.upstream import JSON

FILES = 3000
ROUNDS = 10


def run() -> Iterator[Row]:
    """Fill the project, then measure upload plus page, each time of a new version."""
    with running_mirror() as mirror, requests.Session() as session:
        # Checking a password takes a quarter of a second, as it should; 3,000 uploads need it once.
        session.headers["X-Devpi-Auth"] = login(mirror.url, "company", mirror.credentials["company"])
        for number in range(FILES):
            post(session, f"{mirror.url}/company/dev/", wheel("many", f"1.{number}"))
        del session.headers["X-Devpi-Auth"]
        session.auth = ("company", mirror.credentials["company"])  # as twine and uv do it
        seconds = [measured(session, mirror, wheel("many", f"2.{number}")) for number in range(ROUNDS)]
    median = statistics.median(seconds)
    yield Row(f"upload to next page, {FILES} files", "s", median, None, median, "<= 0.5")


def login(url: str, user: str, password: str) -> str:
    """The value of devpi's own header of a user who has logged in (devpi-client sends it)."""
    credentials = {"user": user, "password": password}
    token = requests.post(f"{url}/+login", json=credentials, timeout=60).json()["result"]["password"]
    return base64.b64encode(f"{user}:{token}".encode()).decode()


def post(session: requests.Session, index: str, dist: Dist) -> None:
    """Upload to the URL of an index, as twine does."""
    name, version = dist.filename.split("-")[:2]
    form = {":action": "file_upload", "name": name, "version": version, "filetype": "bdist_wheel"}
    answer = session.post(
        index,
        data={**form, "metadata_version": "2.1", "sha256_digest": dist.sha256, "pyversion": "py3"},
        files={"content": (dist.filename, dist.content)},
        timeout=60,
    )
    answer.raise_for_status()


def measured(session: requests.Session, mirror: Mirror, dist: Dist) -> float:
    """Seconds from the start of an upload until a page that shows it has arrived."""
    started = time.monotonic()
    post(session, f"{mirror.url}/company/dev/", dist)
    page = session.get(f"{mirror.index_url('company/dev')}many/", headers={"Accept": JSON}, timeout=60)
    if dist.filename not in page.text:
        raise RuntimeError(f"the page after the upload of {dist.filename} does not show it")
    return time.monotonic() - started
