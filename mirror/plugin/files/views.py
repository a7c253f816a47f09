"""Serve files: from the cache, or from a download while it arrives."""

import contextlib
import mimetypes
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from devpi_server.log import threadlog
from pyramid.httpexceptions import HTTPFound

from mirror.plugin import responses
from mirror.plugin.files import last_use, lookup, lost_uploads
from mirror.plugin.files.downloads import Download, DownloadRequest, Downloads, DownloadSource
from mirror.plugin.upstream import primary
from mirror.plugin.upstream.client import (
    GatewayError,
    UpstreamClient,
    number_in,
    primary_of,
    text_in,
    upstream_of,
)
from mirror.plugin.upstream.mirror_stage import CachingStage


class FileViews:
    """Serves the files of all indexes."""

    def __init__(self, xom: Any, client: UpstreamClient, downloads: Downloads) -> None:
        self._xom = xom
        self._client = client
        self._downloads = downloads

    def serve(self, request: Any, stage: Any, entry: Any) -> Any:
        """The file, a part of it, or 304. Raises GatewayError."""
        if entry.file_exists():
            with contextlib.suppress(FileNotFoundError):  # pruned since
                return _stored(request, entry)
        if not self._xom.is_replica():
            if stage.ixconfig["type"] != "mirror":
                raise GatewayError(404, lost_uploads.sentence(entry))
            if stage.use_external_url:
                return HTTPFound(location=entry.url)
        unseen = _validators(entry, None)
        if responses.not_modified(request.environ, unseen.etag, None):
            return responses.respond(request, unseen, responses.of_bytes(b""))
        download_request = DownloadRequest(entry, self._sources(stage, entry))
        if request.method == "HEAD":
            return self._head(request, download_request)
        return self._download(request, download_request) or self.serve(request, stage, entry)

    def find(self, stage: Any, path: str, client: str) -> Any:
        """The entry of the file at `path` on `stage`, which is not known here yet; None where devpi says so.

        `client`: name of the one that asks for it. May restart the transaction. Raises GatewayError.
        """
        look = lookup.find if isinstance(stage, CachingStage) else lookup.find_below
        if not self._xom.is_replica():
            return look(self._xom.filestore, stage, path)
        serves = partial(primary.serves, self._client, self._xom, client)
        return lookup.find_on_replica(look, self._xom.filestore, stage, path, serves)

    def _sources(self, stage: Any, entry: Any) -> Sequence[DownloadSource]:
        """The upstream; on a replica its primary first."""
        if not self._xom.is_replica():
            return [DownloadSource(entry.url, upstream_of(stage))]
        upstream = primary_of(self._xom, {self._xom.replica_thread.H_REPLICA_FILEREPL: "YES"})
        primary = DownloadSource(self._xom.config.primary_url.joinpath(entry.relpath).url, upstream)
        from_mirror = entry.url and stage.ixconfig["type"] == "mirror"
        return [primary, DownloadSource(entry.url, upstream_of(stage))] if from_mirror else [primary]

    def _head(self, request: Any, download_request: DownloadRequest) -> Any:
        """The answer to HEAD for a file that is not here, by HEAD to the upstream."""
        source = download_request.sources[0]
        with (
            self._client.slot(),
            self._client.stream(source.url, source.upstream, method="HEAD") as answer,
        ):
            length = number_in(answer.headers.get("Content-Length"))
            if length is None:
                raise GatewayError(502, f"the upstream states no length for {download_request.relpath}")
            validators = _validators(download_request.entry, answer.headers.get("Last-Modified"))
            return responses.respond(request, validators, responses.ResponseBody(length, lambda *_: ()))

    def _download(self, request: Any, download_request: DownloadRequest) -> Any:
        """The answer from a download in progress; None when the file is stored by now."""
        with ExitStack() as until_sent:
            until_sent.enter_context(self._client.slot())
            download = self._downloads.join(download_request)
            if download is None:
                return None
            download.wait_for()
            # The length is known now, see Download._shown.
            body = responses.ResponseBody(download.length or 0, _DownloadBody(download, until_sent).open)
            answer = responses.respond(
                request, _validators(download_request.entry, download.last_modified), body
            )
            answer.headers["X-Accel-Buffering"] = "no"  # nginx is to pass on what arrives
            return answer


def _stored(request: Any, entry: Any) -> Any:
    """The answer from the disk. Raises FileNotFoundError."""
    path = Path(entry.file_os_path())
    body = responses.of_file(request, path)
    answer = responses.respond(request, _validators(entry, entry.last_modified), body)
    if request.method == "GET":
        last_use.note(path)
    return answer


class _DownloadBody:
    """Body of an answer: part of a download. Gives back the slot of its request when it is closed."""

    def __init__(self, download: Download, held: ExitStack) -> None:
        self._download = download
        self._held = held
        self._range = (0, 0)

    def open(self, start: int, stop: int) -> "_DownloadBody":
        """Send from `start` to `stop`."""
        self._range = (start, stop)
        self._held = self._held.pop_all()
        return self

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._download.follow(*self._range)
        except GatewayError as error:
            # The header is out: too few bytes make the server close the connection, which the client sees.
            threadlog.warn("broke off %s: %s", self._download.request.relpath, error.text)

    def close(self) -> None:
        self._held.close()


def _validators(entry: Any, last_modified: str | None) -> responses.Validators:
    """Validators of a file: `+f` paths contain its hash, others may get new content."""
    in_path = "/+f/" in entry.relpath
    digest = entry.hashes.get_default_value(None)
    return responses.Validators(
        etag=f'"{digest}"' if digest else None,
        last_modified=text_in(last_modified),
        content_type=_content_type(entry.basename),
        cache_control=responses.FOREVER if in_path else "no-cache",
    )


def _content_type(filename: str) -> str:
    """Type of a file that browsers keep, and never show: HTML and SVG run scripts as part of this site."""
    guess = mimetypes.guess_type(filename)[0] or ""
    is_shown = not guess.startswith("application/") or guess.endswith(("xml", "javascript"))
    return "application/octet-stream" if is_shown else guess
