"""Serve metadata files of wheels (PEP 658): from the store, the upstream, or the wheel itself."""

import contextlib
import hashlib
import operator
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from devpi_server.log import threadlog

from mirror.plugin import responses
from mirror.plugin.files.downloads import PATIENCE, DownloadRequest, Downloads, DownloadSource
from mirror.plugin.metadata import stored_wheel, wheel
from mirror.plugin.metadata.remote_wheel import RemoteWheels, UnavailableError
from mirror.plugin.metadata.store import MetadataStore, WheelKey
from mirror.plugin.simple import file_rows
from mirror.plugin.simple.file_rows import ProjectFile, Rows
from mirror.plugin.single_flight import SingleFlight
from mirror.plugin.upstream.client import (
    GatewayError,
    Upstream,
    UpstreamClient,
    primary_of,
    read_body,
    upstream_of,
)
from mirror.plugin.upstream.file_records import entries
from mirror.plugin.upstream.page_cache import PageCache

Offer = bool | Mapping[str, str]


class MetadataViews:
    """The metadata files of one devpi-server process."""

    def __init__(
        self,
        xom: Any,
        client: UpstreamClient,
        downloads: Downloads,
        store: MetadataStore,
        pages: PageCache,
    ) -> None:
        self._xom = xom
        self._client = client
        self._downloads = downloads
        self._store = store
        self._pages = pages
        self._in_progress: SingleFlight[Future[bytes]] = SingleFlight(operator.call)
        self._ends = RemoteWheels(client)

    def completed(self, files: Sequence[ProjectFile]) -> Rows:
        """Complete `files` with the metadata that a page advertises for them. Needs a transaction.

        Of most files nothing is known here, and their rows stay as they are, without being read.
        """
        rows = file_rows.rows(files)
        hashes = rows.sha256s()
        if self._client.offline or hashes is None:
            return Rows.of(self._completed(*pair) for pair in rows.pairs())
        known = self._store.known(hashes)
        if not known:
            return rows
        return Rows.of(
            self._completed(*pair) if key in known else pair
            for key, pair in zip(hashes, rows.pairs(), strict=True)
        )

    def _completed(self, row: str, origin: str) -> tuple[str, str]:
        file = file_rows.file_of(row, origin)
        return file_rows.row(file._replace(core_metadata=self.advertised(file))), origin

    def advertised(self, file: ProjectFile) -> Offer:
        """Value of core-metadata for this file: hashes, True when they are not known yet, or False.

        True and hashes are promises: `serve` keeps them as long as the upstream is there. Needs a
        transaction.
        """
        key = WheelKey.of(file.path, file.hashes)
        if not file.is_wheel or key is None or self._store.is_broken(key):
            return False
        if known := self._store.sha256(key):
            return {"sha256": known}
        if not file.url and isinstance(file.core_metadata, Mapping):
            return file.core_metadata  # found out when it was uploaded
        if not file.url or self._client.offline:  # an upload, or nothing but what is here
            return self._look_into(file, key)
        return file.core_metadata

    def serve(self, request: Any, stage: Any, entry: Any) -> Any:
        """The answer to a request for the metadata file of `entry`. Raises GatewayError."""
        content = self.read(stage, entry)
        validators = responses.Validators(f'"{hashlib.sha256(content).hexdigest()}"')
        return responses.respond(request, validators, responses.of_bytes(content))

    def read(self, stage: Any, entry: Any) -> bytes:
        """The metadata file of `entry`, which `stage` has. Raises GatewayError, 404 when it has none."""
        key = WheelKey.of(entry.relpath, entry.hashes)
        if key is None or not entry.basename.endswith(".whl"):
            raise GatewayError(404, f"{entry.basename} has no metadata file")
        if self._store.is_broken(key):
            self._pages.changed(entry.project)
            raise GatewayError(404, f"{entry.basename} is known to be broken")
        stated = self._store.sha256(key)
        if content := self._store.read(key):
            return content
        content = self._made(key, stage, entry)
        if stated:  # removed by `mirror check`, and perhaps not the same again
            self._pages.changed(entry.project)
        return content

    def _look_into(self, file: ProjectFile, key: WheelKey) -> Offer:
        """Value of core-metadata for a wheel that is here."""
        entry = self._xom.filestore.get_file_entry(file.path)
        if entry is None:
            return False
        try:
            return {
                "sha256": self._store.keep(key, stored_wheel.read(Path(entry.file_os_path()), entry.basename))
            }
        except FileNotFoundError:
            return False
        except wheel.BrokenWheelError as reason:
            self._store.keep_broken(key, str(reason))
            return False

    def _made(self, key: WheelKey, stage: Any, entry: Any) -> bytes:
        """Make and store it, once for all who ask meanwhile. Raises GatewayError."""
        with self._client.slot():
            making = self._in_progress.join(
                str(entry.relpath), Future, lambda _: self._make_and_store(key, stage, entry)
            )
            try:
                return making.result(PATIENCE)
            except TimeoutError as error:
                raise GatewayError(
                    503, f"{entry.basename} has not been read for {PATIENCE} seconds"
                ) from error

    def _make_and_store(self, key: WheelKey, stage: Any, entry: Any) -> bytes:
        try:
            content = self._store.read(key) or self._make(stage, entry)
        except wheel.BrokenWheelError as reason:
            self._store.keep_broken(key, str(reason))
            self._pages.changed(entry.project)
            raise GatewayError(404, f"{entry.basename} has no metadata: {reason}") from reason
        self._store.keep(key, content)
        if stored_wheel.correct(
            self._store, self._pages, entry, Path(entry.file_os_path())
        ):  # it has arrived meanwhile
            raise GatewayError(503, f"{entry.basename} has other metadata than its upstream says")
        return content

    def _make(self, stage: Any, entry: Any) -> bytes:
        """Get metadata in the cheapest way that works.

        Raises GatewayError, or BrokenWheelError when the whole wheel proves it.
        """
        with contextlib.suppress(FileNotFoundError):
            return stored_wheel.read(Path(entry.file_os_path()), entry.basename)
        if self._xom.is_replica():
            return self._of_primary(entry)
        if stage.ixconfig["type"] != "mirror":
            raise GatewayError(404, f"{entry.relpath} is not here any more")
        upstream = upstream_of(stage)
        ways = [partial(self._ends.read_metadata, entry.url, upstream, entry.basename)]
        if offered := self._offer(entry):
            ways.insert(0, partial(self._of_upstream, entry, upstream, offered))
        for way in ways:
            try:
                return way()
            except UnavailableError as reason:
                threadlog.debug("metadata of %s: %s", entry.relpath, reason)
            except (
                wheel.BrokenWheelError
            ) as reason:  # perhaps: what is read in parts cannot be checked by its hash
                threadlog.info("metadata of %s: %s; looking further", entry.relpath, reason)
            if offered:
                self._pages.changed(entry.project)
        if download := self._downloads.join(DownloadRequest(entry, [DownloadSource(entry.url, upstream)])):
            download.complete()
        return stored_wheel.read(Path(entry.file_os_path()), entry.basename)

    def _offer(self, entry: Any) -> Offer:
        """Value of core-metadata on the upstream's page."""
        _, file = entries.find(self._pages, entry.relpath) or ("", None)
        return file.core_metadata if file and file.offered else False

    def _of_primary(self, entry: Any) -> bytes:
        """Metadata file from the primary of this replica."""
        url = self._xom.config.primary_url.joinpath(f"{entry.relpath}.metadata").url
        with self._client.stream(url, primary_of(self._xom)) as answer:
            return read_body(answer, wheel.LARGEST)

    def _of_upstream(self, entry: Any, upstream: Upstream, offered: Offer) -> bytes:
        """Metadata file from the upstream."""
        url = urlsplit(entry.url)
        try:
            address = url._replace(path=f"{url.path}.metadata").geturl()
            with self._client.stream(address, upstream) as answer:
                content = read_body(answer, wheel.LARGEST)
        except GatewayError as error:
            if error.status == 503:
                raise
            raise UnavailableError(error.text) from error
        if isinstance(offered, Mapping) and hashlib.sha256(content).hexdigest() != offered.get("sha256"):
            raise UnavailableError("the upstream's file is not the one that it advertises")
        wheel.check(content, entry.basename)
        return content
