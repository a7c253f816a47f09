"""Collect evidence in the background: some files of a project at once, and stored before the next ones.

A project may have thousands of files. Who asks for its page waits for the first ones, a few seconds at most;
the page is dropped whenever more is known.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from devpi_server.log import threadlog

from mirror.plugin.evidence import licenses
from mirror.plugin.evidence.provenance_objects import ProvenanceObjects
from mirror.plugin.evidence.runs import Run, Runs, Tasks
from mirror.plugin.evidence.store import EvidenceStore
from mirror.plugin.evidence.verifier import UnavailableError, Verified, Verifier
from mirror.plugin.metadata.views import MetadataViews
from mirror.plugin.policy.evidence import Kind, License, Provenance
from mirror.plugin.simple.file_rows import ProjectFile
from mirror.plugin.single_flight import SingleFlight
from mirror.plugin.upstream.client import GatewayError, UpstreamClient

AT_ONCE = 8  # files; of them, one is verified at a time
PROJECTS = 4  # at once
BATCH = 16  # files whose evidence is stored together
SOON, LATER = 60.0, 3600.0  # seconds until the upstream is asked again: it failed, or what it has is wrong


class Ask(NamedTuple):
    """A file to look at. If it `pins`, and is the first that verifies, its publishers are the project's."""

    kind: Kind
    file: ProjectFile
    pins: bool = False


@dataclass(frozen=True)
class Project:
    """A normalised project of a mirror index "user/name"."""

    index: str
    name: str


@dataclass(frozen=True)
class Sources:
    """Sources of evidence, and the clock."""

    xom: Any
    client: UpstreamClient
    metadata: MetadataViews
    verifier: Verifier
    objects: ProvenanceObjects
    clock: Callable[[], float] = field(default=time.time)


class Collector:
    """The collection of one devpi-server process."""

    def __init__(self, sources: Sources, store: EvidenceStore, tasks: Tasks) -> None:
        """`tasks` has a thread for each of PROJECTS."""
        self._sources = sources
        self._store = store
        self._files = ThreadPoolExecutor(AT_ONCE, "evidence")
        self._runs = Runs(tasks)
        self._single: SingleFlight[Future[None]] = SingleFlight(lambda call, *rest: call(*rest))

    def start(self, client: str, project: Project, next_ones: Callable[[], Sequence[Ask]]) -> Run:
        """Collect what `next_ones` names, again and again until it names nothing more.

        Raises GatewayError when too many projects of this client wait.
        """
        done: set[tuple[Kind, str]] = set()  # whatever happens to records, nobody is asked twice at once

        def batch() -> bool:
            try:
                return self._collect(project, next_ones, done)
            except OSError as error:
                threadlog.error("what was found out about %s cannot be stored: %s", project.name, error)
            except Exception:  # noqa: BLE001 (nobody looks at a result)
                threadlog.exception("evidence about %s cannot be collected", project.name)
            return False

        return self._runs.join(client, f"{project.index}/{project.name}", batch)

    def _collect(
        self, project: Project, next_ones: Callable[[], Sequence[Ask]], done: set[tuple[Kind, str]]
    ) -> bool:
        """Collect and store the next batch; whether there was one."""
        asked = [ask for ask in next_ones() if (ask.kind, ask.file.path) not in done][:BATCH]
        done |= {(ask.kind, ask.file.path) for ask in asked}
        found = list(self._files.map(lambda ask: (ask.file.filename, self._look(project, ask)), asked))
        if found:
            pinning = {ask.file.filename for ask in asked if ask.pins}
            self._store.add(project.index, project.name, found, pinning)
        return bool(found)

    def waiting(self, client: str) -> AbstractContextManager[None]:
        """Take a thread that may wait, before `start`. Raises GatewayError when too many wait."""
        return self._sources.client.slot(client)

    def look_now(self, project: Project, ask: Ask) -> None:
        """Look at one file that somebody waits for. Raises GatewayError."""

        kind, file, pins = ask

        def look(_: Future[None]) -> None:
            found = [(file.filename, self._look(project, ask))]
            self._store.add(project.index, project.name, found, [file.filename] if pins else [])

        with self._sources.client.slot():
            try:
                self._single.join(f"{kind} {file.path} {pins}", Future, look).result()
            except OSError as error:
                text = f"what was found out about {file.filename} cannot be stored: {error.strerror}"
                raise GatewayError(503, text) from error

    def _look(self, project: Project, ask: Ask) -> Provenance | License:
        kind, file, _ = ask
        sha256 = file.hashes.get("sha256", "")
        now = self._sources.clock()
        record = License if kind == "license" else Provenance
        try:
            if kind == "license":
                return licenses.read(sha256, self._metadata(project, file))
            return self._provenance(project, file, sha256, now)
        except (GatewayError, UnavailableError) as error:
            # Evidence that can never be had is a fact; what comes after `again` may be another.
            is_gone = isinstance(error, GatewayError) and error.status == 404
            if is_gone and kind == "license":
                return License(sha256, problem="is not stated: the wheel has no metadata")
            words = f"could not be fetched: {error}" if isinstance(error, GatewayError) else str(error)
            return record(sha256, problem=words, again=now + (LATER if is_gone else SOON))
        except Exception as error:
            if isinstance(error, OSError) and error.errno:  # of the disk
                raise
            # What the bytes of one file bring about, nobody having foreseen it, is no matter of the others.
            threadlog.exception("evidence about %s cannot be found out", file.filename)
            problem = "could not be found out: the log of the server says why"
            return record(sha256, problem=problem, again=now + LATER)

    def _metadata(self, project: Project, file: ProjectFile) -> bytes:
        xom = self._sources.xom
        with xom.keyfs.read_transaction(allow_reuse=True):
            stage, entry = xom.model.getstage(project.index), xom.filestore.get_file_entry(file.path)
            if stage is None or entry is None:
                raise GatewayError(503, f"no page lists {file.filename} any more")
            return self._sources.metadata.read(stage, entry)

    def _provenance(self, project: Project, file: ProjectFile, sha256: str, now: float) -> Provenance:
        if not sha256:
            return Provenance(sha256, problem="proves nothing: its page states no sha256", again=now + LATER)
        found = self._verified(project, file, sha256)
        again = now + LATER if found.problem else None
        return Provenance(sha256, found.publishers, found.problem, again)

    def _verified(self, project: Project, file: ProjectFile, sha256: str) -> Verified:
        """Verify the provenance object that is stored here, else the one that the upstream has now."""
        sources = self._sources
        stored = sources.objects.read(project.index, file.filename, sha256)
        if stored:
            found = sources.verifier.verify(file.filename, sha256, stored)
            if not found.problem or sources.client.offline:
                return found
        with sources.xom.keyfs.read_transaction(allow_reuse=True):
            stage = sources.xom.model.getstage(project.index)
            if stage is None:
                raise GatewayError(503, f"there is no index {project.index} any more")
        content = sources.objects.fetch(sources.client, stage, project.name, file)
        return sources.verifier.verify(file.filename, sha256, content)
