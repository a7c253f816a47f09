"""Pages and files of a protected index with a login, and the same of one for everybody: both by nginx."""

import base64
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import requests

from bench.tools import nginx, stage, wrk
from bench.tools.rows import Row
from tests.support.dists import wheel
from tests.support.servers import BIN, Mirror, free_port, running_mirror
from tests.support.upstream import JSON, Upstream

AS_PIP = {"Accept": f"{JSON}, text/html; q=0.01", "Accept-Encoding": "gzip, deflate"}
INDEXES = '[indexes."company/open"]\n[indexes."company/closed"]\nread = []\n'


def run() -> Iterator[Row]:
    """Rows for a protected and a public index; nginx asks once a minute for each login."""
    with Upstream() as upstream, tempfile.TemporaryDirectory(dir="/tmp") as scratch:
        folder, front = Path(scratch), free_port()
        folder.chmod(0o755)
        settings = f'front.listen = "127.0.0.1:{front}"\nfront.login_cache = "/dev/shm/packhorse-{front}"\n'
        with running_mirror(f'{settings}{INDEXES}[upstream]\nurl = "{upstream.url}"\n') as mirror:
            upload(mirror)
            mirror.home.chmod(0o711)
            mirror.run(BIN / "mirror", "front", cwd=mirror.home)
            with nginx.running(folder, f"include {mirror.home}/mirror/nginx.conf;"):
                stage.wait_for(f"http://127.0.0.1:{front}/+api")
                yield from compare(f"http://127.0.0.1:{front}", mirror)


def upload(mirror: Mirror) -> None:
    """A page of 60 files, of which one has 100 kB."""
    dists = [wheel("small", f"1.{minor}", padding=0 if minor else 100_000) for minor in range(60)]
    for dist in dists:
        (mirror.home / dist.filename).write_bytes(dist.content)
    login = ("--username", "company", "--password", mirror.credentials["company"])
    files = [mirror.home / dist.filename for dist in dists]
    for index in ("open", "closed"):
        options = (
            "--non-interactive",
            "--disable-progress-bar",
            "--repository-url",
            f"{mirror.url}/company/{index}/",
        )
        mirror.run(BIN / "twine", "upload", *options, *login, *files, timeout=300)


def compare(front: str, mirror: Mirror) -> Iterator[Row]:
    """The rows of a page and a file."""
    login = ("company", mirror.credentials["company"])
    as_company = {"Authorization": f"Basic {base64.b64encode(':'.join(login).encode()).decode()}"}
    page = f"{front}/company/open/+simple/small/"
    (file,) = (
        each
        for each in requests.get(page, headers=AS_PIP, timeout=60).json()["files"]
        if "-1.0-" in each["filename"]
    )
    for what, url in (("page", page), ("file of 100 kB", urljoin(page, file["url"]).partition("#")[0])):
        closed = url.replace("/open/", "/closed/")
        for address in (url, closed):
            requests.get(address, headers=AS_PIP, auth=login, timeout=60).raise_for_status()
        static = wrk.rate(url, AS_PIP)
        rate = wrk.rate(closed, {**AS_PIP, **as_company})
        yield Row(f"readers: {what}, with a login", "1/s", rate, static, rate / static, ">= 0.5")
