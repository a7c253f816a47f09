"""Files from the cache, from a download, and what a client is told without one."""

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from devpi_server.filestore import Digests
from pyramid.request import Request

from mirror.plugin.files.downloads import Download, DownloadRequest
from mirror.plugin.files.views import FileViews
from mirror.plugin.upstream.client import GatewayError

CONTENT = b"content of a file"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
MIRROR = SimpleNamespace(
    ixconfig={"type": "mirror", "mirror_url": "https://example.com/simple/"},
    use_external_url=False,
    mirror_url_authorization_header=None,
    xom=SimpleNamespace(is_replica=lambda: False),
)


class _Entry:
    """devpi's entry of a file that lies at `path`, or nowhere yet."""

    relpath = f"root/pypi/+f/{DIGEST[:3]}/{DIGEST[3:16]}/demo-1.0.tar.gz"
    basename = "demo-1.0.tar.gz"
    url = "https://files.example.com/demo-1.0.tar.gz"
    last_modified = "Fri, 20 Nov 2026 12:00:00 GMT"

    def __init__(self, path: Path | None = None) -> None:
        self.hashes = Digests(sha256=DIGEST)
        self.meta: dict[str, str] = {}
        self.path = path

    def file_exists(self) -> bool:
        return self.path is not None

    def file_os_path(self) -> str:
        return str(self.path)


class _Client:
    """The client for upstreams, which answers HEAD."""

    def __init__(self, **headers: str) -> None:
        self.headers = headers
        self.in_use = 0

    @contextmanager
    def slot(self) -> Iterator[None]:
        self.in_use += 1
        yield
        self.in_use -= 1

    def stream(self, _url: str, _login: object, **_: object) -> AbstractContextManager[httpx.Response]:
        return nullcontext(httpx.Response(200, headers=self.headers))


class _Downloads:
    """A download of all that is asked for, which is complete; or none when the file has just come."""

    def __init__(self, folder: Path, arrived: Path | None = None) -> None:
        self.requests: list[DownloadRequest] = []
        self._folder = folder
        self._arrived = arrived

    def join(self, request: DownloadRequest) -> Download | None:
        self.requests.append(request)
        if self._arrived:
            request.entry.path = self._arrived
            return None
        download = Download(request, self._folder / "arriving")
        download.add(CONTENT)
        download.set_result(None)
        return download


def serve(
    entry: Any,  # noqa: ANN401 (devpi is untyped)
    downloads: Any,  # noqa: ANN401 (a fake)
    client: Any = None,  # noqa: ANN401 (a fake)
    method: str = "GET",
    **headers: str,
) -> Any:  # noqa: ANN401 (pyramid is untyped)
    """The answer to a request for the file on a mirror."""
    upstream: Any = client or _Client()
    views = FileViews(SimpleNamespace(is_replica=lambda: False), upstream, downloads)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return views.serve(Request.blank("/", method=method, headers=named), MIRROR, entry)


def test_a_file_that_is_here_is_served_without_a_download(tmp_path: Path) -> None:
    """With what a client can keep it by: its address contains its hash."""
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    answer = serve(_Entry(path), None)
    assert (answer.status_code, answer.body) == (200, CONTENT)
    assert answer.headers["ETag"] == f'"{DIGEST}"'
    assert "immutable" in answer.headers["Cache-Control"]


def test_a_time_that_no_header_can_have_is_not_sent(tmp_path: Path) -> None:
    """The upstream states it, and an earlier version may have stored it: each answer would be an error."""
    entry = _Entry(tmp_path / "file")
    (tmp_path / "file").write_bytes(CONTENT)
    entry.last_modified = "\u4e2d"
    answer = serve(entry, None)
    assert (answer.body, answer.headers.get("Last-Modified")) == (CONTENT, None)


def test_a_file_that_is_not_here_comes_by_a_download(tmp_path: Path) -> None:
    """Whose slot is in use until the body is sent."""
    client, downloads = _Client(), _Downloads(tmp_path)
    answer = serve(_Entry(), downloads, client)
    assert (answer.content_length, client.in_use) == (len(CONTENT), 1)
    assert b"".join(answer.app_iter) == CONTENT
    answer.app_iter.close()
    assert client.in_use == 0
    (request,) = downloads.requests
    assert [source.url for source in request.sources] == [_Entry.url]


def test_a_file_that_has_come_since_the_look_for_it_is_served(tmp_path: Path) -> None:
    """Its download ended in between."""
    client, path = _Client(), tmp_path / "file"
    path.write_bytes(CONTENT)
    answer = serve(_Entry(), _Downloads(tmp_path, path), client)
    assert (answer.body, client.in_use) == (CONTENT, 0)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_file_that_is_pruned_after_the_look_for_it_comes_by_a_download(tmp_path: Path, method: str) -> None:
    """It is there once more, and nobody has got an error."""

    class Pruned(_Entry):
        looks = iter([True, False, False])

        def file_exists(self) -> bool:
            return next(self.looks)

    answer = serve(
        Pruned(tmp_path / "gone"), _Downloads(tmp_path), _Client(**{"Content-Length": "7"}), method
    )
    assert (answer.status_code, answer.content_length) == (200, 7 if method == "HEAD" else len(CONTENT))


def test_a_client_that_has_the_file_costs_no_download() -> None:
    """The hash is known before the file is here."""
    answer = serve(_Entry(), None, If_None_Match=f'"{DIGEST}"')
    assert (answer.status_code, answer.body) == (304, b"")


def test_head_asks_the_upstream_for_the_size_only() -> None:
    """uv looks at a wheel so, and then reads a part of it or none."""
    answer = serve(_Entry(), None, _Client(**{"Content-Length": "12"}), method="HEAD")
    assert (answer.status_code, answer.headers["Content-Length"], answer.body) == (200, "12", b"")
    with pytest.raises(GatewayError, match="no length"):
        serve(_Entry(), None, _Client(), method="HEAD")


def test_an_upload_that_is_gone_is_not_looked_for_elsewhere() -> None:
    """An upstream's file of that name is another one."""
    views = FileViews(SimpleNamespace(is_replica=lambda: False), None, None)  # type: ignore[arg-type]  # not asked
    stage = SimpleNamespace(ixconfig={"type": "stage"})
    with pytest.raises(GatewayError) as raised:
        views.serve(Request.blank("/"), stage, _Entry())
    assert (raised.value.status, "upload it again" in raised.value.text) == (404, True)


def test_a_replica_asks_its_primary_first_and_then_the_upstream(tmp_path: Path) -> None:
    """It serves on while its primary is away."""
    replication = SimpleNamespace(
        H_REPLICA_FILEREPL="X-Filerepl", http=SimpleNamespace(get_extra_headers=dict)
    )
    primary_url = SimpleNamespace(
        url="https://primary/", joinpath=lambda path: SimpleNamespace(url=f"https://primary/{path}")
    )
    xom = SimpleNamespace(
        is_replica=lambda: True,
        replica_thread=replication,
        config=SimpleNamespace(primary_url=primary_url),
    )
    downloads: Any = _Downloads(tmp_path)
    client: Any = _Client()
    FileViews(xom, client, downloads).serve(Request.blank("/"), MIRROR, _Entry()).app_iter.close()
    assert list(downloads.requests[0].sources) == [
        (f"https://primary/{_Entry.relpath}", ("https://primary/", {"X-Filerepl": "YES"}, True)),
        (_Entry.url, ("https://example.com/simple/", {}, False)),
    ]
