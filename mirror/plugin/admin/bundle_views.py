"""PUT /USER/INDEX/+bundle/PROJECT, …/FILENAME and …/FILENAME/provenance: take what a bundle has, for root.

`mirror bundle load` sends them. On an index that caches an upstream they are as good as what the upstream
sends: read by the same parser, held to the same hashes, but for files that `?accept-changed=FILENAME` names:
these take the place of files that had another content. For an index of uploads, the first says which files
are to be uploaded. The provenance of a cached file comes before its page, that of an upload after it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from typing import Any

from devpi_server.views import apiresult

from mirror.plugin import reservations, responses
from mirror.plugin.admin import logins
from mirror.plugin.audit import requests
from mirror.plugin.evidence import provenance_objects
from mirror.plugin.evidence.provenance_objects import ProvenanceObjects
from mirror.plugin.evidence.store import EvidenceStore
from mirror.plugin.files.downloads import Downloads
from mirror.plugin.simple import content_types, filenames
from mirror.plugin.simple.file_rows import ProjectFile
from mirror.plugin.simple.parse import InvalidPageError, RawPage
from mirror.plugin.upstream import page_cache
from mirror.plugin.upstream.client import GatewayError
from mirror.plugin.upstream.mirror_stage import CachingStage
from mirror.plugin.upstream.page_cache import PageInfo
from mirror.plugin.upstream.parser_process import ParseRequest, ParserProcess

NEW, HERE, REFUSED = "new", "here", "refused"
State = dict[str, Any]


@dataclass(frozen=True)
class ProvenanceStores:
    """Provenance objects of cached files, and the evidence that their verification found."""

    objects: ProvenanceObjects
    evidence: EvidenceStore


class BundleViews:
    """The views of one devpi-server process."""

    def __init__(
        self, xom: Any, parser: ParserProcess, downloads: Downloads, provenance: ProvenanceStores
    ) -> None:
        self._xom = xom
        self._parser = parser
        self._downloads = downloads
        self._provenance = provenance

    def install(self, pyramid_config: Any) -> None:
        """Add the addresses."""
        page = "/{user:[^+/]+}/{index:[^+/]+}/+bundle/{project:[^+/]+}"
        for name, pattern, view in (
            ("packhorse bundle page", page, self.take_page),
            ("packhorse bundle file", f"{page}/{{filename:[^/]+}}", self.take_file),
            ("packhorse bundle provenance", f"{page}/{{filename:[^/]+}}/provenance", self.take_provenance),
        ):
            pyramid_config.add_route(name, pattern)
            pyramid_config.add_view(logins.root_only(view), route_name=name, request_method="PUT")

    def take_page(self, request: Any) -> Any:
        """Say what is new of a page's files, what is here, and what is refused and why."""
        stage, project = request.context.stage, request.matchdict["project"]
        if self._xom.is_replica():
            return apiresult(403, "a replica takes no bundle: load it into the primary")
        if not filenames.is_project(project):
            return apiresult(400, "no project can have this name")
        try:
            if isinstance(stage, CachingStage):
                accepted = requests.accepted(request.query_string)
                result = self._into_cache(stage, project, request.body, accepted)
            else:
                result = self._compared_with_uploads(stage, project, request.body)
        except InvalidPageError as error:
            return apiresult(400, f"the page of {project} is {error}")
        except GatewayError as error:
            return apiresult(error.status, error.text)
        return apiresult(200, result=result, type="bundle page")

    def take_file(self, request: Any) -> Any:
        """Store the content of a file that a page lists."""
        stage, project = request.context.stage, request.matchdict["project"]
        known = (
            stage.facts(project)
            if isinstance(stage, CachingStage) and filenames.is_project(project)
            else None
        )
        named = (
            [file for file in known.files if file.filename == request.matchdict["filename"]] if known else []
        )
        if not named:
            return apiresult(404, "no page of this index lists the file")
        entry = self._xom.filestore.get_file_entry(named[0].path)
        if not entry.file_exists():
            read = partial(request.body_file.read, responses.CHUNK)
            try:
                self._downloads.take(entry, iter(read, b""))
            except GatewayError as error:
                self._xom.keyfs.tx.doom()
                return apiresult(400, error.text)
        return apiresult(200, f"{entry.relpath} is here")

    def take_provenance(self, request: Any) -> Any:
        """Store the provenance object of a file, whose sha256 is in the query; it proves nothing yet."""
        stage, names = request.context.stage, request.matchdict
        project, filename, content = names["project"], names["filename"], request.body
        if self._xom.is_replica() or not filenames.is_project(project):
            return apiresult(400, "no provenance of this project is taken here")
        try:
            provenance_objects.check(content)
            if isinstance(stage, CachingStage):
                self._provenance.objects.keep(stage.name, filename, request.GET.get("sha256", ""), content)
                self._provenance.evidence.forget_problem(stage.name, project, filename)
            else:
                stage.take_provenance(project, filename, content, request.authenticated_userid)
        except ValueError as error:
            return apiresult(400, f"its provenance is refused: {error}")
        return apiresult(200, f"the provenance of {filename} is here")

    def _into_cache(
        self, stage: Any, project: str, content: bytes, accepted: Collection[str]
    ) -> dict[str, State]:
        if reservations.hides_upstreams(stage, project):
            why = "the name is reserved for packages of this server's own"
            return {file.filename: _state(REFUSED, why) for file in self._parsed(stage, project, content)}
        refused = stage.take_page(project, content, accepted, partial(self._has_provenance, stage.name))
        paths = {file.filename: file for file in stage.facts(project).files}
        return {
            name: _state(REFUSED, reason) if reason else self._state_of(paths[name])
            for name, reason in refused.items()
        }

    def _has_provenance(self, index: str, file: ProjectFile) -> bool:
        return self._provenance.objects.read(index, file.filename, file.hashes.get("sha256", "")) is not None

    def _compared_with_uploads(self, stage: Any, project: str, content: bytes) -> dict[str, State]:
        """States of files that are to be uploaded to `stage`, if neither it nor its bases have them."""
        files = self._parsed(stage, project, content)
        known: dict[str, tuple[str, ProjectFile]] = {}
        for base in stage.sro():
            for file in () if isinstance(base, CachingStage) else base.facts(project).files:
                known.setdefault(file.filename, (base.name, file))
        is_own = known or reservations.is_reserved(stage.keyfs, project)
        public = "" if is_own else why_public(stage, project)
        found = {}
        for file in files:
            index, old = known.get(file.filename, (stage.name, None))
            if public:
                found[file.filename] = _state(
                    REFUSED, f"{public}; if it is yours: mirror reserve {project}, and load again"
                )
            elif old is None:
                found[file.filename] = {**_state(NEW), "index": index}
            elif old.hashes.get("sha256") == file.hashes["sha256"]:
                found[file.filename] = {**_state(HERE), "index": index, "yanked": bool(old.yanked)}
            else:
                found[file.filename] = _state(REFUSED, f"{index} has another file of this name")
        return found

    def _parsed(self, stage: Any, project: str, content: bytes) -> list[ProjectFile]:
        """The files of a page. Raises InvalidPageError."""
        url = f"https://localhost/{project}/"  # what relative addresses are relative to: nobody is asked
        body = RawPage(content_types.JSON, url, content)
        page = self._parser.read(ParseRequest(stage.name, project, body, PageInfo(url, 0, None, -1)))
        files = page_cache.decode_new(project, page.content, page.summary).detail.files
        if not all("sha256" in file.hashes for file in files):
            raise InvalidPageError("one without hashes")
        return list(files)

    def _state_of(self, file: ProjectFile) -> State:
        entry = self._xom.filestore.get_file_entry(file.path)
        return _state(HERE if entry.file_exists() else NEW)


def why_public(stage: Any, project: str) -> str:
    """Say that an upstream of `stage` has `project`, or may have it; "" when none has.

    The first upload reserves a name for ever, so what is not in the cache has to be asked for.
    """
    for base in stage.sro():
        if isinstance(base, CachingStage):
            try:
                if not base.is_project_cached(project):
                    base.refresh(project)
            except base.UpstreamNotFoundError:
                continue
            except GatewayError as error:
                return f"{base.name} may have a project of this name ({error.text})"
            return f"{base.name} has a project of this name"
    return ""


def _state(state: str, reason: str = "") -> State:
    return {"state": state, "reason": reason}
