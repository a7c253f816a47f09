"""Tests of which evidence is gathered for pages and files, and who waits for it."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mirror.plugin.evidence.collector import Ask, Project
from mirror.plugin.evidence.store import EvidenceStore
from mirror.plugin.guards import gathering
from mirror.plugin.guards.gathering import NEWEST, Gathering
from mirror.plugin.policy.evidence import Evidence, License, Provenance
from mirror.plugin.policy.facts import ProjectFacts
from mirror.plugin.simple import file_rows
from mirror.plugin.simple.detail import ProjectDetail
from mirror.plugin.simple.file_rows import FileObject, ProjectFile, Rows
from mirror.plugin.upstream.client import GatewayError

INDEX, CLIENT = "root/pypi", "192.0.2.1"
ACME = {"kind": "GitHub", "repository": "acme/demo"}
LICENSES = {"licenses": {"allow": ["MIT"], "deny": [], "unknown": "deny", "exempt": []}}
FIRST_SEEN = {"require_provenance": [{"project": "demo", "publisher": None}]}


def files(count: int) -> Rows:
    """Wheels of demo 1.0 to `count`.0, each with a provenance."""
    names = [f"demo-{number}.0-py3-none-any.whl" for number in range(1, count + 1)]
    objects = [
        FileObject(
            name, f"{file_rows.ROOT}{INDEX}/+f/{name}", {"sha256": f"{at:064x}"}, provenance="https://u/"
        )
        for at, name in enumerate(names)
    ]
    return Rows.of_objects(objects, [f"https://u/{name}" for name in names])


class Collector:
    """Remembers what it is to look for, and begins runs at once or never."""

    def __init__(self, store: EvidenceStore) -> None:
        self._store = store
        self.started: list[tuple[str, Project, list[Ask]]] = []
        self.looked: list[tuple[Project, Ask]] = []
        self.waits: list[str] = []
        self.is_full = self.is_silent = False

    def start(self, client: str, project: Project, next_ones: Callable[[], Sequence[Ask]]) -> Any:  # noqa: ANN401
        self.started.append((client, project, list(next_ones())))
        began = threading.Event()
        if not self.is_silent:
            began.set()
        return SimpleNamespace(began=began)

    @contextmanager
    def waiting(self, client: str) -> Iterator[None]:
        if self.is_full:
            raise GatewayError(503, "too many requests wait for the upstream", "1")
        self.waits.append(client)
        yield

    def look_now(self, project: Project, ask: Ask) -> None:
        self.looked.append((project, ask))
        if ask.kind == "provenance":
            found = Provenance(ask.file.hashes["sha256"], (ACME,))
            self._store.add(
                project.index, project.name, [(ask.file.filename, found)], [ask.file.filename] * ask.pins
            )


class World:
    """A mirror index with some files of demo, below an index of uploads, under policies."""

    def __init__(self, folder: Path, policies: dict[str, Any], count: int = 5) -> None:
        self.detail = ProjectDetail("demo", files(count))
        self.store = EvidenceStore(folder / "evidence", lambda _: nullcontext())
        self.collector = Collector(self.store)
        self.facts_of: list[str] = []
        self.holder = SimpleNamespace(name=INDEX, ixconfig={"type": "mirror"}, facts=self._facts)
        own = SimpleNamespace(name="company/dev", ixconfig={"type": "stage"})
        both = [(own, ProjectDetail("demo", files(1))), (self.holder, self.detail)]
        self.stage = SimpleNamespace(
            name="company/dev",
            sro=lambda: [own, self.holder],
            op_sro_check_mirror_whitelist=lambda _, *, project: both if project == "demo" else [],
        )
        stored = {"settings": json.dumps(policies)}
        xom = SimpleNamespace(
            keyfs=SimpleNamespace(
                get_key=lambda _: SimpleNamespace(get=lambda: stored), read_transaction=nullcontext
            ),
            model=SimpleNamespace(getstage=lambda name: self.holder if name == INDEX else None),
        )
        self.gathering = Gathering(xom, self.store, self.collector, lambda: 1000.0)  # type: ignore[arg-type]

    def _facts(self, project: str) -> ProjectDetail:
        self.facts_of.append(project)
        return self.detail

    def file(self, number: int) -> ProjectFile:
        return file_rows.rows(self.detail.files)[number - 1]

    def look_now(self, number: int, *, is_listed: bool = True) -> list[str]:
        """What is looked at, in order, when the file of version `number` is asked for."""
        self.collector.looked.clear()
        facts = ProjectFacts("demo", evidence=self.store.read(INDEX, "demo"), is_listed=is_listed)
        looked = self.gathering.look_now(self.holder, facts, self.file(number))
        found = [
            f"{ask.kind} {ask.file.filename.split('-')[1]}{' pins' * ask.pins}"
            for _, ask in self.collector.looked
        ]
        assert looked or not found
        return found


def test_without_rules_that_need_evidence_nothing_is_read_or_begun(tmp_path: Path) -> None:
    """Pages of a mirror without such policies cost what they did."""
    world = World(tmp_path, {"": {"cooldown": 3}})
    world.store.add(INDEX, "demo", [("x", License("1", "MIT"))])
    del world.stage.op_sro_check_mirror_whitelist  # which may ask an upstream
    world.gathering.prepare(world.stage, "demo", CLIENT)
    assert world.gathering.begin(world.stage, "demo", CLIENT) == []
    assert world.gathering.known(INDEX, "demo") == Evidence()
    assert (world.collector.waits, world.collector.started, world.look_now(1)) == ([], [], [])


def test_a_page_waits_for_what_is_missing_of_mirror_indexes_only(tmp_path: Path) -> None:
    """Files of our own need no license; who is refused a thread leaves no work behind."""
    world = World(tmp_path, {"": LICENSES})
    world.collector.is_full = True
    with pytest.raises(GatewayError, match="too many requests"):
        world.gathering.prepare(world.stage, "demo", CLIENT)
    assert world.collector.started == []
    world.collector.is_full = False
    world.gathering.prepare(world.stage, "demo", CLIENT)
    ((client, project, asks),) = world.collector.started
    assert (client, project, world.collector.waits) == (CLIENT, Project(INDEX, "demo"), [CLIENT])
    assert [ask.file.filename.split("-")[1] for ask in asks] == ["5.0", "1.0"]
    assert asks[0].file == world.file(5)
    assert world.facts_of == [], "a page of thousands of files is looked through once"


def test_a_page_of_which_all_is_known_waits_for_nothing(tmp_path: Path) -> None:
    """Not even for a thread."""
    world = World(tmp_path, {"": LICENSES})
    ends = [world.file(1), world.file(5)]
    world.store.add(INDEX, "demo", [(each.filename, License(each.hashes["sha256"], "MIT")) for each in ends])
    world.gathering.prepare(world.stage, "demo", CLIENT)
    assert (world.collector.waits, world.collector.started) == ([], [])
    assert world.gathering.known(INDEX, "demo").licenses


def test_a_page_of_which_nothing_is_known_in_time_is_no_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list without the files would say that there are none; what is known already is shown."""
    monkeypatch.setattr(gathering, "PATIENCE", 0.01)
    world = World(tmp_path, {"": LICENSES})
    world.collector.is_silent = True
    with pytest.raises(GatewayError, match="more than the page of demo, which is fetched") as caught:
        world.gathering.prepare(world.stage, "demo", CLIENT)
    assert caught.value.status == 503
    first = world.file(1)
    world.store.add(INDEX, "demo", [(first.filename, License(first.hashes["sha256"], "MIT"))])
    world.gathering.prepare(world.stage, "demo", CLIENT)
    assert len(world.collector.started) == 2, "it looks for the rest all the same"


def test_a_run_ends_with_its_index(tmp_path: Path) -> None:
    """It goes on in the background, and the index may be deleted meanwhile."""
    world = World(tmp_path, {"": LICENSES})
    world.gathering._xom.model.getstage = lambda _: None
    world.gathering.begin(world.stage, "demo", CLIENT)
    assert world.collector.started == [(CLIENT, Project(INDEX, "demo"), [])]


def test_the_version_of_what_is_known_changes_with_it(tmp_path: Path) -> None:
    """Pages are kept as long as it is equal."""
    world = World(tmp_path, {"": LICENSES})
    before = world.gathering.state([INDEX, "company/dev"], "demo")
    assert before == [None, None]
    world.store.add(INDEX, "demo", [("x", License("1", "MIT"))])
    after = world.gathering.state([INDEX, "company/dev"], "demo")
    assert after[0] is not None
    assert after[1] is None


def test_a_file_is_looked_at_before_it_is_served_once(tmp_path: Path) -> None:
    """For each kind that a rule needs; what is known is not looked at again."""
    world = World(
        tmp_path, {"": {**LICENSES, "require_provenance": [{"project": "demo", "publisher": ACME}]}}
    )
    assert world.look_now(2) == ["license 2.0", "provenance 2.0"]
    two = world.file(2)
    world.store.add(INDEX, "demo", [(two.filename, License(two.hashes["sha256"], "MIT"))])
    assert world.look_now(2) == []


def test_the_newest_files_say_who_the_publisher_is_and_not_the_one_that_is_asked_for(tmp_path: Path) -> None:
    """Else a stranger would choose the publisher by asking for an old file of somebody else's first."""
    world = World(tmp_path, {"": FIRST_SEEN})
    assert world.look_now(1) == ["provenance 5.0 pins", "provenance 1.0"], "the first that verifies is enough"
    assert world.store.read(INDEX, "demo").pinned == (ACME,)
    assert world.look_now(2) == ["provenance 2.0"]


def test_no_more_than_the_three_newest_are_looked_at_for_a_publisher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks for one file does not wait for a thousand that prove nothing."""
    world = World(tmp_path, {"": FIRST_SEEN})
    monkeypatch.setattr(
        world.collector, "look_now", lambda project, ask: world.collector.looked.append((project, ask))
    )
    newest = [f"provenance {number}.0 pins" for number in (5, 4, 3)]
    assert world.look_now(1) == [*newest, "provenance 1.0"]
    assert len(newest) == NEWEST
    assert world.look_now(5) == newest, "of the file itself, once"


def test_only_a_provenance_says_who_the_publisher_is(tmp_path: Path) -> None:
    """The license of the same file is looked at for another rule."""
    world = World(tmp_path, {"": {**LICENSES, **FIRST_SEEN}})
    world.gathering.begin(world.stage, "demo", CLIENT)
    ((_, _, asks),) = world.collector.started
    assert {(ask.kind, ask.pins) for ask in asks} == {("license", False), ("provenance", True)}


def test_a_file_that_no_page_lists_any_more_does_not_say_who_the_publisher_is(tmp_path: Path) -> None:
    """What the page lists now is not what this file's page listed."""
    world = World(tmp_path, {"": FIRST_SEEN})
    assert world.look_now(1, is_listed=False) == ["provenance 1.0"]
    assert world.store.read(INDEX, "demo").pinned == ()
    assert world.facts_of == []
