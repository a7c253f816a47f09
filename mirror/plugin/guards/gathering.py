"""Have evidence gathered that policies need, before pages are rendered and files are served."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from mirror.plugin.evidence.collector import Ask, Collector, Project
from mirror.plugin.evidence.runs import Run
from mirror.plugin.evidence.store import EvidenceStore
from mirror.plugin.guards.declared_policies import POLICIES
from mirror.plugin.policy.evaluation import EvidenceRule
from mirror.plugin.policy.evidence import Evidence
from mirror.plugin.policy.facts import FileFacts, ProjectFacts
from mirror.plugin.policy.provenance import RequireProvenance
from mirror.plugin.simple import file_rows
from mirror.plugin.simple.detail import ProjectDetail
from mirror.plugin.simple.file_rows import ProjectFile
from mirror.plugin.upstream.client import GatewayError

NEWEST = 3  # files of which one has to verify when the publisher of a project is not known yet
PATIENCE = 5.0  # seconds that a page waits for the first evidence


class Gathering:
    """Evidence for the policies of one devpi-server process, besides what pages say."""

    def __init__(
        self, xom: Any, store: EvidenceStore, collector: Collector, clock: Callable[[], float] = time.time
    ) -> None:
        self._xom = xom
        self._store = store
        self._collector = collector
        self._clock = clock

    def rules(self) -> list[EvidenceRule]:
        """The rules in force that need it. Needs a transaction."""
        policies = POLICIES.read(self._xom.keyfs).policies.values()
        return [rule for policy in policies for rule in policy.of_evidence]

    def known(self, index: str, project: str) -> Evidence:
        """Known evidence of a project; none if no rule needs it."""
        return self._store.read(index, project) if self.rules() else Evidence()

    def state(self, indexes: Sequence[str], project: str) -> list[object]:
        """A version of what is known: equal as long as it is the same."""
        return [self._store.version(index, project) for index in indexes]

    def begin(self, stage: Any, project: str, client: str) -> list[Run]:
        """Begin to look for what is missing of a project on `stage`. Raises GatewayError."""
        wanting = self._wanting(stage, project)
        return [self._start(index, project, client, asks) for index, asks in wanting.items()]

    def prepare(self, stage: Any, project: str, client: str) -> None:
        """The same, and wait for the first of it.

        Raises GatewayError when nothing is known in time: what is not known yet is not absent.
        """
        wanting = self._wanting(stage, project)
        if not wanting:
            return
        until = time.monotonic() + PATIENCE
        with self._collector.waiting(client):  # first: who is refused leaves no work behind
            for run in [self._start(index, project, client, asks) for index, asks in wanting.items()]:
                began = run.began.wait(max(0.0, until - time.monotonic()))
                versions = self.state([base.name for base in stage.sro()], project)
                if not began and not any(versions):
                    raise GatewayError(
                        503, f"policies need more than the page of {project}, which is fetched"
                    )

    def look_now(self, holder: Any, facts: ProjectFacts, file: ProjectFile) -> bool:
        """Find out what is missing of one file; whether something was. Raises GatewayError.

        Who is the publisher of a project, its newest files say, and not the one that a stranger asks for.
        """
        rules = self.rules()
        missing = (rule.needs(FileFacts(facts, file), self._clock()) for rule in rules)
        asks = [Ask(kind, file) for kind in sorted({kind for kind in missing if kind})]
        awaits = any(isinstance(rule, RequireProvenance) and rule.awaits_publisher(facts) for rule in rules)
        if awaits and facts.is_listed:
            wanted = self._next(holder.name, holder.facts(facts.name), rules)
            asks = [*[ask for ask in wanted if ask.pins][:NEWEST], *asks]
        looked = set()
        for ask in asks:
            is_needless = ask.pins and self._store.read(holder.name, facts.name).pinned
            if not is_needless and (ask.kind, ask.file.path) not in looked:
                self._collector.look_now(Project(holder.name, facts.name), ask)
                looked.add((ask.kind, ask.file.path))
        return bool(asks)

    def _wanting(self, stage: Any, project: str) -> dict[str, list[Ask]]:
        """Find the evidence that is missing, by index below `stage`; indexes where none is are left out."""
        rules = self.rules()
        found = stage.op_sro_check_mirror_whitelist("facts", project=project) if rules else ()
        asks = {
            base.name: self._next(base.name, detail, rules)
            for base, detail in found
            if base.ixconfig["type"] == "mirror"
        }
        return {index: missing for index, missing in asks.items() if missing}

    def _start(self, index: str, project: str, client: str, asks: list[Ask]) -> Run:
        first = [asks]  # to find them out once more would take as long as to render the page

        def next_ones() -> list[Ask]:
            with self._xom.keyfs.read_transaction():
                holder = self._xom.model.getstage(index)
                if holder is None:
                    return []
                return first.pop() if first else self._next(index, holder.facts(project), self.rules())

        return self._collector.start(client, Project(index, project), next_ones)

    def _next(self, index: str, detail: ProjectDetail, rules: Sequence[EvidenceRule]) -> list[Ask]:
        rows = file_rows.rows(detail.files)
        facts = ProjectFacts(
            detail.name, evidence=self._store.read(index, detail.name), filenames=rows.filenames()
        )

        def files() -> list[FileFacts]:
            return [FileFacts(facts, file) for file in rows.objects()]

        wanted = [each for rule in rules for each in rule.wanted(facts, files, self._clock())]
        pinning = {each.filename for each in wanted if each.pins}
        return [
            Ask(kind, file, kind == "provenance" and name in pinning)
            for kind, name in dict.fromkeys((each.kind, each.filename) for each in wanted)
            if (file := rows.named(name))
        ]
