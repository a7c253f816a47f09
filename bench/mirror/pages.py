"""Pages and files per second: ours behind nginx and alone, stock devpi-server, nginx with the same bytes."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import requests

from bench.tools import nginx, stage, stock, wrk
from bench.tools.rows import Row
from tests.support.dists import wheel
from tests.support.servers import BIN, free_port, running_mirror
from tests.support.upstream import JSON, Upstream

AS_PIP = {
    "Accept": f"{JSON}, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01",
    "Accept-Encoding": "gzip, deflate",
}
SIMPLE = "/root/pypi/+simple/"


@dataclass(frozen=True)
class Servers:
    """The addresses of the four; `root` is the folder that the plain nginx serves."""

    front: str
    ours: str
    stock: str
    plain: str
    root: Path


def run() -> Iterator[Row]:
    """All four in one run on one machine, on what an upstream of our own offers."""
    with Upstream() as upstream, tempfile.TemporaryDirectory(dir="/tmp") as scratch:
        folder, front, plain = Path(scratch), free_port(), free_port()
        folder.chmod(0o755)
        fill(upstream)
        settings = f'front.listen = "127.0.0.1:{front}"\n[upstream]\nurl = "{upstream.url}"\n'
        with running_mirror(settings) as mirror, stock.server(folder, upstream.url) as rival:
            mirror.home.chmod(0o711)
            mirror.run(BIN / "mirror", "front", cwd=mirror.home)
            static = f"server {{ listen 127.0.0.1:{plain}; root {folder}; }}"
            with nginx.running(folder, f"include {mirror.home}/mirror/nginx.conf;\n{static}"):
                here = [f"http://127.0.0.1:{port}" for port in (front, plain)]
                stage.wait_for(f"{here[0]}/+api")
                yield from compare(Servers(here[0], mirror.url, rival, here[1], folder))
            used = stage.memory(mirror)
            yield Row("memory of the server", "MB", used, None, used, "<= 300")


def fill(upstream: Upstream) -> None:
    """Projects whose pages have 25 kB and 1 MB, and a file of 100 kB."""
    upstream.add("small", *(wheel("small", f"1.{minor}") for minor in range(60)))
    upstream.add("large", *(wheel("large", f"1.{minor}") for minor in range(2400)))
    upstream.add("file", wheel("file", "1.0", padding=100_000))


def compare(servers: Servers) -> Iterator[Row]:
    """The rows of two pages and a file."""
    for page in ("small", "large"):
        yield from rows(servers, "page", f"{SIMPLE}{page}/", f"{SIMPLE}{page}/", ">= 10")
    ours, theirs = (file_path(url) for url in (servers.ours, servers.stock))
    yield from rows(servers, "file", ours, theirs, ">= 1")


def rows(servers: Servers, what: str, path: str, stock_path: str, goal: str) -> Iterator[Row]:
    """Requests per second for one path, behind nginx and alone."""
    url = f"{servers.front}{path}"
    content = requests.get(url, headers=AS_PIP, timeout=60).content
    as_sent = requests.get(url, headers=AS_PIP, timeout=60, stream=True).raw.read(decode_content=False)
    (servers.root / "content").write_bytes(as_sent)
    requests.get(f"{servers.stock}{stock_path}", headers=AS_PIP, timeout=60)  # cold, some of 8 at once fail
    front, plain = wrk.rate(url, AS_PIP), wrk.rate(f"{servers.plain}/content", AS_PIP)
    name = f"{what} of {len(content) / 1000:.0f} kB"
    yield Row(f"{name}, nginx in front", "1/s", front, plain, front / plain, ">= 0.8")
    if as_sent != content:  # who takes no gzip: nginx decompresses, at 300 MB/s
        slow = wrk.rate(url, {**AS_PIP, "Accept-Encoding": "identity"})
        yield Row(f"{name}, without gzip", "1/s", slow, plain, slow / plain, ">= 0.02")
    alone, stock_rate = (
        wrk.rate(f"{servers.ours}{path}", AS_PIP),
        wrk.rate(f"{servers.stock}{stock_path}", AS_PIP),
    )
    yield Row(f"{name}, alone", "1/s", alone, stock_rate, alone / stock_rate, goal)


def file_path(server: str) -> str:
    """Address of the file on `server`, in whose cache it is afterwards."""
    page = f"{server}{SIMPLE}file/"
    (file,) = requests.get(page, headers=AS_PIP, timeout=60).json()["files"]
    url = urljoin(page, file["url"])
    requests.get(url, timeout=60).raise_for_status()
    return str(urlsplit(url).path)
