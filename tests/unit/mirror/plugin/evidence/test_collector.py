"""Tests of the collection of evidence: what a look at a file finds, and which files are looked at."""

import errno
import lzma
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mirror.plugin.evidence.collector import LATER, SOON, Ask, Collector, Project, Sources
from mirror.plugin.evidence.provenance_objects import ProvenanceObjects
from mirror.plugin.evidence.runs import Turn
from mirror.plugin.evidence.store import EvidenceStore
from mirror.plugin.evidence.verifier import LARGEST, UnavailableError, Verified
from mirror.plugin.policy.evidence import License, Provenance
from mirror.plugin.simple.file_rows import ProjectFile
from mirror.plugin.upstream.client import GatewayError

NOW, DEMO = 1_000_000.0, Project("root/pypi", "demo")
SHA256 = "ab" * 32
OBJECT, OTHER = (
    b'{"version":1,"attestation_bundles":[{"publisher":{"kind":"%s"},"attestations":'
    b'[{"version":1,"verification_material":{},"envelope":{}}]}]}' % kind
    for kind in (b"GitHub", b"GitLab")
)
ACME = {"kind": "GitHub", "repository": "acme/demo"}


def file(name: str = "demo-1.0-py3-none-any.whl", sha256: str = "a") -> ProjectFile:
    hashes = {"sha256": sha256} if sha256 else {"md5": "b"}
    return ProjectFile(name, f"root/pypi/+f/{name}", hashes=hashes, provenance=f"https://u/{name}")


class World:
    """An upstream that gives what `metadata` and `proves` say, and threads that work when they are told."""

    def __init__(self, folder: Path) -> None:
        self.metadata: bytes | Exception = b"License-Expression: MIT\n\n"
        self.fetched: bytes | Exception = b"{}"
        self.proves: Verified | Exception = Verified((ACME,))
        self.has_index = self.has_entry = True
        self.failing: dict[str, Exception] = {}
        self.asked: list[str] = []
        self.slots: list[tuple[str, ...]] = []
        self.turns: list[Turn] = []
        self.store = EvidenceStore(folder / "evidence", lambda _: nullcontext())
        self.offline = False
        self.objects = ProvenanceObjects(folder / "provenance")
        sources = Sources(self._xom(), self, self._views(), self, self.objects, lambda: NOW)  # type: ignore[arg-type]
        self.collector = Collector(sources, self.store, self)

    def _xom(self) -> Any:  # noqa: ANN401 (devpi's)
        return SimpleNamespace(
            keyfs=SimpleNamespace(read_transaction=lambda *, allow_reuse: nullcontext(allow_reuse)),
            model=SimpleNamespace(getstage=lambda name: self.stage if self.has_index else name and None),
            filestore=SimpleNamespace(get_file_entry=lambda path: path if self.has_entry else None),
        )

    @property
    def stage(self) -> Any:  # noqa: ANN401 (devpi's)
        return SimpleNamespace(
            name="root/pypi",
            ixconfig={"mirror_url": "https://u/"},
            xom=SimpleNamespace(is_replica=lambda: False),
            mirror_url_authorization_header=None,
        )

    def _views(self) -> Any:  # noqa: ANN401 (metadata/views.py)
        return SimpleNamespace(read=lambda _, entry: self._given(self.metadata, entry))

    def _given(self, found: Any, name: str) -> Any:  # noqa: ANN401
        self.asked.append(name)
        found = self.failing.get(name, found)
        if isinstance(found, Exception):
            raise found
        return found

    @contextmanager
    def stream(self, url: str, _: object) -> Iterator[Any]:
        content = self._given(self.fetched, url)
        yield SimpleNamespace(iter_raw=lambda: iter([content]), url=SimpleNamespace(path="/"))

    @contextmanager
    def slot(self, *client: str) -> Iterator[None]:
        self.slots.append(client)
        yield

    def verify(self, filename: str, sha256: str, _: bytes) -> Verified:
        found: Verified = self._given(self.proves, f"verify {filename} {sha256}")
        return found

    def add_task(self, task: Turn) -> None:
        self.turns.append(task)

    def work(self) -> None:
        while self.turns:
            self.turns.pop(0).service()

    def look(self, kind: Any, of: ProjectFile | None = None) -> Provenance | License:  # noqa: ANN401
        """What is stored after a look at one file."""
        of = of or file()
        self.collector.look_now(DEMO, Ask(kind, of))
        found = self.store.read(*("root/pypi", "demo"))
        return found.licenses[of.filename] if kind == "license" else found.provenance[of.filename]

    def collect(self, asks: Callable[[], Sequence[Ask]], client: str = "a") -> bool:
        """Whether the first batch was collected, or given up."""
        run = self.collector.start(client, DEMO, asks)
        self.work()
        return run.began.is_set()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


GONE, DOWN = GatewayError(404, "the upstream answered 404 for /x"), GatewayError(503, "it is down")


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        (b"License-Expression: MIT\n\n", License("a", "MIT")),
        (GONE, License("a", problem="is not stated: the wheel has no metadata")),
        (DOWN, License("a", problem="could not be fetched: it is down", again=NOW + SOON)),
        (
            GatewayError(502, "too large"),
            License("a", problem="could not be fetched: too large", again=NOW + SOON),
        ),
    ],
    ids=str,
)
def test_a_license_that_cannot_be_had_is_a_fact_or_a_problem_for_a_while(
    world: World, metadata: bytes | Exception, found: License
) -> None:
    """Only the upstream's word that there is nothing lasts: an outage must not deny a file for ever."""
    world.metadata = metadata
    assert world.look("license") == found


@pytest.mark.parametrize("gone", ["has_entry", "has_index"])
def test_a_wheel_that_no_page_lists_any_more_has_no_license_for_a_while(world: World, gone: str) -> None:
    """Its page changed between the question and the look, or its index was deleted."""
    setattr(world, gone, False)
    problem = f"could not be fetched: no page lists {file().filename} any more"
    assert world.look("license") == License("a", problem=problem, again=NOW + SOON)
    assert world.asked == []


@pytest.mark.parametrize(
    ("fetched", "proves", "found"),
    [
        (b"{}", Verified((ACME,)), Provenance("a", (ACME,))),
        (b"{}", Verified((), "is none"), Provenance("a", (), "is none", NOW + LATER)),
        (
            b"{}",
            UnavailableError("cannot be verified: x is missing"),
            Provenance("a", (), "cannot be verified: x is missing", NOW + SOON),
        ),
        (GONE, Verified(()), Provenance("a", (), f"could not be fetched: {GONE}", NOW + LATER)),
        (DOWN, Verified(()), Provenance("a", (), "could not be fetched: it is down", NOW + SOON)),
        (
            b"x" * (LARGEST + 1),
            Verified((ACME,)),
            Provenance(
                "a", (), "could not be fetched: the upstream gives more than 1000000 bytes for /", NOW + SOON
            ),
        ),
    ],
    ids=["verifies", "none", "no verifier", "gone", "down", "large"],
)
def test_a_provenance_that_proves_nothing_now_is_looked_at_again(
    world: World, fetched: bytes | Exception, proves: Verified | Exception, found: Provenance
) -> None:
    """Soon if the upstream or this mirror failed, later if what it has is wrong; never if it verifies."""
    world.fetched, world.proves = fetched, proves
    assert world.look("provenance") == found
    assert world.asked[0] == f"https://u/{file().filename}"


def test_a_file_without_a_sha256_proves_nothing_and_nobody_is_asked(world: World) -> None:
    """An attestation is of a sha256: what the mirror would compute of the file, no page has stated."""
    found = world.look("provenance", file(sha256=""))
    assert found == Provenance("", (), "proves nothing: its page states no sha256", NOW + LATER)
    assert world.asked == []


def test_a_batch_has_sixteen_files_and_none_is_looked_at_twice(world: World) -> None:
    """A record that a rule still calls due, whatever the reason, would be fetched for ever."""
    files = [file(f"demo-{number}-py3-none-any.whl") for number in range(40)]
    stored = []

    def asks() -> list[Ask]:
        stored.append(len(world.store.read("root/pypi", "demo").licenses))
        return [Ask("license", each) for each in files]

    assert world.collect(asks)
    assert stored == [0, 16, 32, 40]
    assert sorted(world.asked) == sorted(each.path for each in files)


def test_a_license_and_a_provenance_of_one_file_are_both_looked_at(world: World) -> None:
    """Two rules ask for two things; the first file that pins says who the publisher is."""
    asks = [Ask("license", file()), Ask("provenance", file(), pins=True)]
    assert world.collect(lambda: asks)
    found = world.store.read("root/pypi", "demo")
    assert (len(found.licenses), len(found.provenance), found.pinned) == (1, 1, (ACME,))


def test_a_file_that_does_not_pin_leaves_the_publisher_open(world: World) -> None:
    """In a batch, and when a client waits for one file."""
    assert world.collect(lambda: [Ask("provenance", file())])
    world.collector.look_now(DEMO, Ask("provenance", file("demo-2.tar.gz")))
    assert world.store.read("root/pypi", "demo").pinned == ()
    world.collector.look_now(DEMO, Ask("provenance", file("demo-3.tar.gz"), pins=True))
    assert world.store.read("root/pypi", "demo").pinned == (ACME,)


def test_what_cannot_be_stored_or_is_a_mistake_of_ours_ends_the_run_and_nothing_else(
    world: World, tmp_path: Path
) -> None:
    """Whoever waits goes on, and is told that nothing is known; the next request begins again."""
    (tmp_path / "evidence").write_text("no folder")
    assert world.collect(lambda: [Ask("license", file())])
    with pytest.raises(GatewayError, match=r"about demo-1.0-py3-none-any.whl cannot be stored") as caught:
        world.collector.look_now(DEMO, Ask("license", file()))
    assert caught.value.status == 503
    (tmp_path / "evidence").unlink()

    def mistaken() -> list[Ask]:
        raise KeyError

    assert world.collect(mistaken)
    assert world.collect(lambda: [Ask("license", file())])
    assert world.store.read("root/pypi", "demo").licenses


@pytest.mark.parametrize("error", [lzma.LZMAError("x"), OSError("Invalid data stream"), KeyError("x")])
def test_what_one_file_brings_about_keeps_the_evidence_of_no_other_away(
    world: World, error: Exception
) -> None:
    """One wheel of a project, in a form that nobody had foreseen, ended the batch for all others."""
    files = [file(f"demo-{number}-py3-none-any.whl") for number in range(3)]
    world.failing = {files[1].path: error}
    assert world.collect(lambda: [Ask("license", each) for each in files])
    found = world.store.read("root/pypi", "demo").licenses
    assert [found[each.filename].expression for each in files] == ["MIT", "", "MIT"]
    problem = "could not be found out: the log of the server says why"
    assert found[files[1].filename] == License("a", problem=problem, again=NOW + LATER)


def test_a_failing_disk_is_no_fact_about_a_file(world: World) -> None:
    """It is said to who waits, and looked at again."""
    world.metadata = OSError(errno.EIO, "Input/output error")
    with pytest.raises(GatewayError, match="Input/output error"):
        world.look("license")


def test_who_waits_takes_one_of_the_threads_that_may(world: World) -> None:
    """By client for pages; a file is waited for in the name of nobody."""
    with world.collector.waiting("192.0.2.1"):
        assert world.slots == [("192.0.2.1",)]
    world.look("license")
    assert world.slots == [("192.0.2.1",), ()]


@pytest.mark.parametrize("offline", [False, True])
def test_an_object_that_is_here_and_proves_something_is_not_asked_for(world: World, *, offline: bool) -> None:
    """A bundle brought it, or a look before; offline there is nobody to ask."""
    world.offline = offline
    world.objects.keep("root/pypi", file().filename, SHA256, OBJECT)
    assert world.look("provenance", file(sha256=SHA256)) == Provenance(SHA256, (ACME,))
    assert not [each for each in world.asked if each.startswith("https:")]


@pytest.mark.parametrize(("offline", "asked"), [(False, 1), (True, 0)])
def test_the_upstream_is_asked_for_another_object_than_one_that_proves_nothing(
    world: World, *, offline: bool, asked: int
) -> None:
    """Whoever carried a bundle may have changed it; what the upstream has takes its place."""
    world.offline, world.proves, world.fetched = offline, Verified((), "does not verify"), OTHER
    world.objects.keep("root/pypi", file().filename, SHA256, OBJECT)
    found = world.look("provenance", file(sha256=SHA256))
    assert found == Provenance(SHA256, (), "does not verify", NOW + LATER)
    assert len([each for each in world.asked if each.startswith("https:")]) == asked
    assert world.objects.read("root/pypi", file().filename, SHA256) == (OTHER if asked else OBJECT)
