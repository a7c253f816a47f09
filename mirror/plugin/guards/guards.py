"""Judge the files of projects as an index shows them, and files by their addresses."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from math import inf
from typing import Any

from devpi_server.log import threadlog

from mirror.plugin import reservations
from mirror.plugin.audit import events
from mirror.plugin.guards import decision_log, declared_policies
from mirror.plugin.guards.decision_log import DecisionLog
from mirror.plugin.guards.declared_policies import DeclaredPolicies
from mirror.plugin.guards.gathering import Gathering
from mirror.plugin.guards.known_vulnerabilities import VulnerabilityFile
from mirror.plugin.policy import evaluation, look_alikes
from mirror.plugin.policy.evaluation import Denial, FileJudge
from mirror.plugin.policy.facts import FileFacts, ProjectFacts
from mirror.plugin.simple import file_rows, filenames
from mirror.plugin.simple.detail import ProjectDetail
from mirror.plugin.simple.file_rows import ROOT, FileObject, ProjectFile, Rows
from mirror.plugin.upstream.client import GatewayError
from mirror.plugin.upstream.file_records.first_seen import FirstSeen, Seen
from mirror.plugin.upstream.page_cache import PageCache


@dataclass(frozen=True)
class Judged:
    """The files of a project that an index shows of one of its bases, and those that it does not."""

    shown: ProjectDetail
    denied: Sequence[tuple[FileObject, Denial]] = ()
    reported: Sequence[
        tuple[FileObject, Denial]
    ] = ()  # of what is shown: what a rule says of it all the same
    looks_like: str | None = None  # a reserved name

    @property
    def until(self) -> float:
        """Time at which the first of these decisions may change by itself (seconds since the epoch)."""
        return min((denial.until for _, denial in self.denied if denial.until is not None), default=inf)


class DeniedError(GatewayError):
    """A policy denies a file."""

    def __init__(self, text: str, denial: Denial) -> None:
        super().__init__(403, text)
        self.denial = denial


@dataclass(frozen=True)
class Records:
    """Records besides devpi's database, and the log of decisions."""

    pages: PageCache
    first_seen: FirstSeen
    vulnerabilities: VulnerabilityFile
    log: DecisionLog
    gathering: Gathering


class Guards:
    """The policies of one devpi-server process."""

    def __init__(self, xom: Any, records: Records, clock: Callable[[], float] = time.time) -> None:
        self._xom = xom
        self._pages = records.pages
        self._first_seen = records.first_seen
        self.vulnerabilities = records.vulnerabilities
        self._log = records.log
        self.gathering = records.gathering
        self._clock = clock

    def declared(self) -> DeclaredPolicies:
        """The policies in force. Needs a transaction."""
        return declared_policies.POLICIES.read(self._xom.keyfs)

    def state(self) -> object:
        """State of what policies decide by, beside the keys that pages depend on: advisories, day, own names.

        What is ignored until a day counts from then on; a name that is reserved has look-alikes at once.
        """
        day = datetime.fromtimestamp(self._clock(), UTC).date()
        return self.vulnerabilities.version(), day, self._own_names()

    def state_of(self, stage: Any, project: str) -> Callable[[], object]:
        """`state`, with what was found out about the files of a project, for a Snapshot."""
        indexes = [base.name for base in stage.sro()]
        return lambda: (self.state(), self.gathering.state(indexes, project))

    def _own_names(self) -> frozenset[str]:
        with self._xom.keyfs.read_transaction(allow_reuse=True):
            if not self.declared().decide_by("reserved names"):
                return frozenset()
            return frozenset(self._xom.keyfs.get_key(reservations.NAMES).get())

    def uses_state(self) -> bool:
        """Whether a policy in force depends on `state`. Needs no transaction."""
        with self._xom.keyfs.read_transaction(allow_reuse=True):
            in_force = self.declared()
        return in_force.decide_by("advisories") or in_force.decide_by("reserved names")

    def judged(self, stage: Any, base: Any, project: ProjectDetail) -> Judged:
        """The decisions of `stage` about `project`, which `base` holds. Needs a transaction."""
        in_force = self.declared()
        facts = self._facts(base, project)
        looks_like = look_alikes.of(project.name, facts.reserved)
        if not in_force:
            return Judged(project, looks_like=looks_like)
        rows = file_rows.rows(project.files)
        facts_of_page = replace(facts, page=rows)
        judge = self._judge(in_force, stage, base, facts_of_page)
        reporter = evaluation.reporter_of(in_force.of(_chain(stage, base)), facts_of_page, self._clock())
        if not filenames.are_surely_of(rows.filenames(), project.name):
            judge = _with_names(judge)
        if judge is None and reporter is None:
            return Judged(project, looks_like=looks_like)
        files = rows.objects()
        denials = [judge(FileFacts(facts, file)) if judge else None for file in files]
        denied = [(file, denial) for file, denial in zip(files, denials, strict=True) if denial]
        reported = list(_reported(reporter, facts, files, denials)) if reporter else []
        if not denied:
            return Judged(project, (), reported, looks_like)
        kept = [file.filename for file, denial in zip(files, denials, strict=True) if not denial]
        gone = set(filenames.versions_of([file.filename for file, _ in denied]))
        gone -= set(filenames.versions_of(kept))
        shown = replace(
            project,
            files=Rows.of(pair for pair, denial in zip(rows.pairs(), denials, strict=True) if not denial),
            versions=tuple(version for version in project.versions if version not in gone),
            withheld=project.withheld + len(denied),
        )
        return Judged(shown, denied, reported, looks_like)

    def log(self, stage: Any, project: str, judged: Sequence[Judged]) -> None:
        """Log the decisions about a project on `stage`, if they are others than before."""
        denied = [(file.filename, denial) for each in judged for file, denial in each.denied]
        reported = [(file.filename, denial) for each in judged for file, denial in each.reported]
        looks_like = next((each.looks_like for each in judged if each.looks_like), "")
        if not self._log.note(stage.name, project, denied, looks_like, reported):
            return
        if looks_like:
            threadlog.warn("%s on %s looks like %s, which is reserved", project, stage.name, looks_like)
        for each in decision_log.summed(reported):
            more = {"rule": each["rule"], "detail": each["reason"], "file": ", ".join(each["files"])}
            events.record("list", "reported", index=stage.name, project=project, **more)

    def addressed(self, stage: Any, project: ProjectDetail) -> ProjectDetail:
        """`project` with addresses of files on `stage`, where its policies are more than those of a base.

        An address is judged by the policies of the index in it, for as long as a lock has it.
        """
        in_force = self.declared()
        rows = file_rows.rows(project.files)
        text = rows.text
        for base in stage.sro() if in_force else ():
            if len(in_force.of(_chain(stage, base))) > len(in_force.of([base.name])):
                address = f'"url":"{ROOT}%s/+'
                here, there = (file_rows.quoted_path(each.name) for each in (stage, base))
                text = text.replace(address % there, address % here)
        return project if text is rows.text else replace(project, files=Rows(text, rows.origins))

    def addresses(self, stage: Any, project: str) -> dict[str, str]:
        """Paths of the files of `project` that `stage` may show -> the paths at which it does.

        Those of all bases, also under a name that another base has. Needs a transaction.
        """
        found: dict[str, str] = {}
        for base, facts in stage.op_sro_check_mirror_whitelist("facts", project=project):
            shown = self.judged(stage, base, facts).shown
            here = self.addressed(stage, shown)
            found |= {file.path: at.path for file, at in zip(shown.files, here.files, strict=True)}
        return found

    def check(self, stage: Any, entry: Any) -> None:
        """Raise DeniedError when a policy denies the file of `entry` at an address on `stage`.

        May restart the transaction.
        """
        if denial := self.denial(stage, entry, look=True):
            # The page of the project may never have been asked for on this index.
            path = f"{entry.project}/{entry.basename}"
            self._log.note(stage.name, path, [(entry.basename, denial)])
            raise DeniedError(
                f"{entry.basename} is denied: {denial.sentence}."
                f" /{stage.name}/+why/{entry.project} says more.",
                denial,
            )

    def denial(self, stage: Any, entry: Any, *, look: bool = False) -> Denial | None:
        """The decision against the file of `entry` at an address on `stage`; None when it may be served.

        With `look`, what is not known yet is found out first, for which it may raise GatewayError.
        """
        in_force = self.declared()
        if not in_force:
            return None
        if not entry.project:
            return Denial("project", "", "which project this is a file of is not known here")
        holder = self._xom.model.getstage(entry.user, entry.index)
        file, facts = self._file(holder, entry)
        if look and not facts.is_upload and self.gathering.look_now(holder, facts, file):
            facts = replace(facts, evidence=self.gathering.known(holder.name, facts.name))
        judge = _with_names(self._judge(in_force, stage, holder, facts))
        return judge(FileFacts(facts, file))

    def _judge(
        self, in_force: DeclaredPolicies, stage: Any, base: Any, project: ProjectFacts
    ) -> FileJudge | None:
        return evaluation.judge_of(in_force.of(_chain(stage, base)), project, self._clock())

    def _file(self, holder: Any, entry: Any) -> tuple[ProjectFile, ProjectFacts]:
        """The file of `entry` as its page describes it, and the project."""
        project = self._project(holder, entry.project)
        rows = file_rows.rows(project.files) if project else Rows("")
        file = _find(rows, str(entry.relpath), entry.basename)
        facts = self._facts(holder, project or ProjectDetail(entry.project))
        facts = replace(facts, is_known=project is not None)
        return file or ProjectFile(entry.basename, str(entry.relpath)), replace(facts, is_listed=bool(file))

    def _facts(self, base: Any, project: ProjectDetail) -> ProjectFacts:
        if base.ixconfig["type"] != "mirror":
            return ProjectFacts(project.name, is_upload=True)
        seen = self._seen(base.name, project.name) if self.declared().decide_by("first seen") else None
        needs_evidence = bool(self.gathering.rules())
        return ProjectFacts(
            project.name,
            status=project.status,
            reserved=frozenset(self._xom.keyfs.get_key(reservations.NAMES).get()),
            first_seen=seen.at if seen else None,
            seen_since=seen.since if seen else 0.0,
            vulnerabilities=partial(self.vulnerabilities.of, project.name),
            evidence=self.gathering.known(base.name, project.name),
            filenames=file_rows.rows(project.files).filenames() if needs_evidence else (),
        )

    def _seen(self, index: str, project: str) -> Seen | None:
        """First-seen times of a project's files; without a record, the page that is here is their first."""
        if seen := self._first_seen.read(index, project):
            return seen
        known = self._pages.read(index, project)
        names = file_rows.rows(known.detail.files).filenames() if known else ()
        return Seen(float(known.about.fetched), {}, frozenset(names)) if known else None

    def _project(self, holder: Any, name: str) -> ProjectDetail | None:
        """The project, None when no page of it is here, and none can be had."""
        if holder.ixconfig["type"] == "mirror" and self._pages.token(holder.name, name) is None:
            try:
                holder.refresh(name)
            except (GatewayError, holder.UpstreamNotFoundError):
                return None
        found: ProjectDetail = holder.facts(name)
        return found


def _reported(
    reporter: FileJudge, facts: ProjectFacts, files: Sequence[FileObject], denials: Sequence[Denial | None]
) -> Iterator[tuple[FileObject, Denial]]:
    for file, denial in zip(files, denials, strict=True):
        found = None if denial else reporter(FileFacts(facts, file))
        if found:
            yield file, found


def _chain(stage: Any, base: Any) -> list[str]:
    """The indexes on the way from `stage` to `base`, on whatever way: whoever inherits adds its policies."""
    return list(_inheriting(stage.sro(), base.name))


def _inheriting(stages: Iterable[Any], name: str) -> Iterator[str]:
    for each in stages:
        if each.name == name or any(below.name == name for below in each.sro()):
            yield each.name


def _find(rows: Rows, path: str, filename: str) -> ProjectFile | None:
    if "/+f/" in path and path.count("/") == 5:
        return rows.find(path)
    return next((file for file in rows if file.filename == filename and file.path == path), None)


def _with_names(judge: FileJudge | None) -> FileJudge:
    """Deny files whose names are of other projects than their page, so that rules by name hold for them."""

    def judged(file: FileFacts) -> Denial | None:
        if not file.tells_its_project:
            return Denial("file name", "", f"{file.filename} is not named as a file of {file.project.name}")
        return judge(file) if judge else None

    return judged
