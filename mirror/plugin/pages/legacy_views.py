"""GET /USER/INDEX/PROJECT/json, …/VERSION/json, and /pypi/… for root/pypi: the legacy JSON API.

For tools that know no other (Renovate, Poetry's own index, scripts). It is made from the project's page, and
so lists what that lists, and from the metadata file of a wheel.
"""

import hashlib
import json
from typing import Any
from urllib.parse import unquote, urljoin

from devpi_server.normalized import normalize_name
from pyramid.httpexceptions import HTTPNotFound

from mirror.plugin import gzip_bytes, responses
from mirror.plugin.access import clients, readers
from mirror.plugin.files import lookup
from mirror.plugin.guards import denied_downloads
from mirror.plugin.guards.guards import Guards
from mirror.plugin.metadata.views import MetadataViews
from mirror.plugin.pages import negotiate, response
from mirror.plugin.pages.response import Representation
from mirror.plugin.pages.views import PageViews
from mirror.plugin.read_cache import ReadCache
from mirror.plugin.simple import file_rows, filenames, legacy
from mirror.plugin.simple.content_types import JSON
from mirror.plugin.upstream.client import GatewayError

REMEMBERED = 8 * 1024 * 1024  # bytes of documents: one of ten thousand files takes a tenth of a second
PUBLIC = {"user": "root", "index": "pypi"}  # what /pypi/ leads to


class LegacyViews:
    """The views of one devpi-server process."""

    def __init__(self, xom: Any, pages: PageViews, metadata: MetadataViews, guards: Guards) -> None:
        self._xom = xom
        self._pages = pages
        self._metadata = metadata
        self._guards = guards
        self._recent: ReadCache[bytes] = ReadCache(REMEMBERED)

    def install(self, pyramid_config: Any) -> None:
        """Add our routes in front of devpi's, which has no GET there: no version is called "json"."""
        for kind, index in (("public", "/pypi"), ("index", "/{user:[^+/]+}/{index:[^+/]+}")):
            for part in ("{project:[^+/]+}", "{project:[^+/]+}/{version:[^/]+}"):
                name = f"packhorse legacy {kind} {part.count('/')}"
                pyramid_config.add_route(
                    name, f"{index}/{part}/json{{slash:/?}}", request_method=("GET", "HEAD")
                )
                pyramid_config.add_view(self.show, route_name=name)

    def show(self, context: Any, request: Any) -> Any:
        """The document of a project, or of one version of it."""
        for key, value in PUBLIC.items():
            context.matchdict.setdefault(key, value)
        stage = context.stage  # 404 without one
        readers.require(request)
        project = str(normalize_name(request.matchdict["project"]))
        if not filenames.is_project(project):
            raise HTTPNotFound("No project can have this name.")
        page, age = self._pages.find(
            stage, project, Representation(JSON, gzip=True), clients.of_request(request)
        )
        parts = {"user": stage.username, "index": stage.index, "project": project}
        url = request.route_url("packhorse page", **parts)
        wanted = request.matchdict.get("version")
        key, found_in = f"{url} {wanted}", (page.mtime, len(page.content))
        content = self._recent.get(key, found_in)
        if content is None:
            content, is_complete = self._document(request, gzip_bytes.decompress(page.content), url, wanted)
            if is_complete:
                self._recent.put(key, found_in, len(content), content)
        return _answer(request, content, age)

    def _document(self, request: Any, page: bytes, url: str, wanted: str | None) -> tuple[bytes, bool]:
        """The document, compressed, and whether nothing was left out that a policy denies.

        Raises HTTPNotFound for a version that the page has not, DeniedError for one that a policy denies,
        GatewayError.
        """
        facts = json.loads(page)
        known = legacy.releases(facts, url)
        version = legacy.newest(known) if wanted is None else legacy.version_in(known, wanted)
        if version is None:
            raise HTTPNotFound(f"{facts['name']} has no version {wanted or 'here'}.")
        stage, metadata, is_denied = request.context.stage, None, False
        holder, entry = self._wheel_of(stage, known[version], url)
        if holder and wanted is None:  # a document without what is denied is no denial
            is_denied = self._guards.denial(stage, entry, look=True) is not None
        elif holder:
            denied_downloads.check(self._guards, request, stage, entry)
        if holder and not is_denied:
            metadata = self._metadata_of(holder, entry)
        made = legacy.document(facts["name"], version, known, metadata, whole=wanted is None)
        return gzip_bytes.compress(json.dumps(made, separators=(",", ":")).encode()), not is_denied

    def _wheel_of(self, stage: Any, files: list[legacy.File], url: str) -> tuple[Any, Any]:
        """The index and the entry of a version's wheel; None for both without one. Raises GatewayError."""
        wheel, filestore = legacy.wheel_of(files), self._xom.filestore
        if wheel is None:
            return None, None
        path = unquote(wheel["url"].removeprefix(urljoin(url, file_rows.ROOT)))
        entry = lookup.known(filestore, path) or lookup.find_below(filestore, stage, path)
        return (self._xom.model.getstage(entry.user, entry.index), entry) if entry else (None, None)

    def _metadata_of(self, holder: Any, entry: Any) -> bytes | None:
        """The metadata of a wheel; None when it has none. Raises GatewayError when nobody knows."""
        try:
            return self._metadata.read(holder, entry)
        except GatewayError as error:
            if error.status != 404:
                raise
            return None


def _answer(request: Any, packed: bytes, age: float | None) -> Any:
    takes_gzip = negotiate.takes_gzip(request.headers.get("Accept-Encoding"))
    content = packed if takes_gzip else gzip_bytes.decompress(packed)
    tag = f'"{hashlib.sha256(content).hexdigest()}"'
    validators = responses.Validators(tag, None, "application/json", response.CACHE_CONTROL)
    answer = responses.respond(request, validators, responses.of_bytes(content))
    answer.headers["Vary"] = "Accept-Encoding"
    answer.headers["Content-Security-Policy"] = response.POLICY
    if takes_gzip and answer.status_code in {200, 206}:
        answer.headers["Content-Encoding"] = "gzip"
    if age is not None:
        answer.headers[response.STALE] = str(int(age))
    return answer
