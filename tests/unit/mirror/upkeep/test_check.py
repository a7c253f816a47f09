"""What `mirror check` takes for wrong, and what it leaves alone."""

import fcntl
import gzip
import hashlib
import os
import time
import zlib
from pathlib import Path
from typing import Any

import pytest

from mirror.state import Folder
from mirror.upkeep import repair
from mirror.upkeep.check import FETCH, QUARANTINE, REMOVE, RENDER, UNFINISHED, Check, Problem
from mirror.upkeep.repair import Outcome, Repair
from tests.support.dists import wheel

OLD = time.time() - 7200
CONTENT = b"content"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class _Mirror:
    """devpi's records, and a disk; the server knows nothing else."""

    def __init__(self, home: Path) -> None:
        self.folder = Folder(home)
        self.records: list[dict[str, Any]] = []
        self.untrue: list[list[str]] = []
        self.calls: list[tuple[str, str, Any]] = []
        self.moves = True
        self.removed: list[str] | None = None
        self.folder.server.mkdir(parents=True)

    def call(self, method: str, path: str, body: Any = None) -> Any:  # noqa: ANN401 (JSON)
        self.calls.append((method, path, body))
        if path == "/+stored-pages":
            return self.untrue
        if path == "/+damaged-files" and self.removed is not None:
            return self.removed
        if method == "POST":
            return self._quarantine(body["quarantine"]) if "quarantine" in body else body
        return {"files": self.records, "mirrors": ["root/pypi"]}

    def _quarantine(self, paths: list[str]) -> dict[str, str]:
        moved = {path: f"+quarantine/2026/{path}" for path in paths}
        if self.moves:
            for target in moved.values():
                self.store(target)
        return moved

    def accepts(self, user: str, password: str) -> bool:
        raise NotImplementedError(user, password)

    def record(
        self, path: str, *, sha256: str = SHA256, pinned: str | None = None, since: str | None = None
    ) -> None:
        hashes = {"sha256": sha256}
        self.records.append({"path": path, "hashes": hashes, "quarantined": since, "pinned": pinned})

    def store(self, path: str, content: bytes = CONTENT, *, written: float = OLD) -> Path:
        stored = self.folder.server / path
        stored.parent.mkdir(parents=True, exist_ok=True)
        stored.write_bytes(content)
        os.utime(stored, (written, written))
        return stored

    def problems(self) -> list[tuple[str, str, str | None]]:
        check = Check(self.folder, self)
        return [(each.kind, each.path, each.repair) for each in check.run(check.looks(), lambda: None)]


@pytest.fixture
def mirror(tmp_path: Path) -> _Mirror:
    return _Mirror(tmp_path)


def test_files_that_are_as_their_records_say_are_no_problem(mirror: _Mirror) -> None:
    for path in ("root/pypi/+f/abc/def/demo-1.0.zip", "company/dev/+f/abc/def/own-1.0.zip"):
        mirror.record(path)
        mirror.store(f"+files/{path}")
    assert mirror.problems() == []


@pytest.mark.parametrize(("index", "way"), [("root/pypi", FETCH), ("company/dev", QUARANTINE)])
def test_a_file_with_another_hash_is_damaged(mirror: _Mirror, index: str, way: str) -> None:
    path = f"{index}/+f/abc/def/demo-1.0.zip"
    mirror.record(path)
    mirror.store(f"+files/{path}", b"other")
    assert mirror.problems() == [("damaged", f"+files/{path}", way)]


def test_the_hash_of_the_first_download_counts(mirror: _Mirror) -> None:
    """A record may have been made by a later one."""
    path = "root/pypi/+f/abc/def/demo-1.0.zip"
    mirror.record(path, pinned="0" * 64)
    mirror.store(f"+files/{path}")
    assert mirror.problems() == [("damaged", f"+files/{path}", FETCH)]


@pytest.mark.parametrize(("index", "way"), [("root/pypi", FETCH), ("company/dev", None)])
def test_a_record_without_its_file_is_reported(mirror: _Mirror, index: str, way: str | None) -> None:
    """Nobody but a backup has an upload."""
    mirror.record(f"{index}/+f/abc/def/demo-1.0.zip")
    assert mirror.problems() == [("missing", f"+files/{index}/+f/abc/def/demo-1.0.zip", way)]


@pytest.mark.parametrize(
    ("index", "way"), [("root/pypi", REMOVE), ("company/dev", QUARANTINE), ("a/b", QUARANTINE)]
)
def test_a_file_without_a_record_is_an_orphan(mirror: _Mirror, index: str, way: str) -> None:
    mirror.store(f"+files/{index}/+f/abc/def/demo-1.0.zip")
    assert mirror.problems() == [("orphan", f"+files/{index}/+f/abc/def/demo-1.0.zip", way)]


def test_what_is_under_way_is_no_leftover(mirror: _Mirror) -> None:
    """Clients download and upload meanwhile."""
    mirror.store("+files/root/pypi/+f/abc/def/new-1.0.zip-0123456789-tmp", written=time.time())
    mirror.store("+downloads/new", written=time.time())
    arriving = mirror.store("+downloads/slow")
    with arriving.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert mirror.problems() == []
    assert mirror.problems() == [("leftover", "+downloads/slow", REMOVE)]


def test_what_changes_between_two_looks_is_no_problem(mirror: _Mirror) -> None:
    """A prune, a deletion or an upload has come in between."""
    path = "root/pypi/+f/abc/def/demo-1.0.zip"
    mirror.record(path)
    check = Check(mirror.folder, mirror)
    looks = check.looks()
    assert check.run(looks, mirror.records.clear) == []


def test_caches_are_compared_with_their_checksums(mirror: _Mirror) -> None:
    mirror.store(f"+metadata/by-index/root/pypi/ef/{'a' * 64}.{SHA256}")
    mirror.store(f"+metadata/by-address/root/pypi/aaa/{'a' * 13}")
    mirror.store(f"+metadata/by-index/root/pypi/ef/{'b' * 64}.broken")
    mirror.store("+upstream/root%2Fpypi/demo", b"4 %d\ntext" % zlib.crc32(b"text"))
    mirror.store("+upstream/root%2Fpypi/packed", gzip.compress(b"text"))
    mirror.store("+upstream/%123")
    assert mirror.problems() == []
    mirror.store(f"+metadata/by-address/root/pypi/aaa/{'a' * 13}", b"other")
    mirror.store("+upstream/root%2Fpypi/demo", b"4 1\ntext")
    mirror.store("+upstream/root%2Fpypi/packed", gzip.compress(b"text")[:-5])
    assert sorted(path for _, path, _ in mirror.problems()) == [
        f"+metadata/by-address/root/pypi/aaa/{'a' * 13}",
        "+upstream/root%2Fpypi/demo",
        "+upstream/root%2Fpypi/packed",
    ]


def test_provenance_that_is_none_or_of_no_index_goes(mirror: _Mirror) -> None:
    """What it proves is for who verifies it: a signature that a disk has changed proves nothing."""
    folder, proof = "+provenance/root%2Fpypi", b'{"version": 1, "attestation_bundles": []}'
    first, second, third = (f"{SHA256}.{letter * 64}" for letter in "abc")
    mirror.store(f"{folder}/{first}", proof)
    mirror.store(f"{folder}/.bb.0123", b"hal", written=time.time())
    assert mirror.problems() == []
    for name, content in (
        (first, proof[:9]),
        (second, b"[]"),
        (third, b"\xff"),
        (".bb.0123", b"hal"),
        ("aa", proof),
    ):
        mirror.store(f"{folder}/{name}", content)
    mirror.store(f"+provenance/root%2Fgone/{first}", proof)
    assert sorted(mirror.problems()) == [
        *(("damaged", f"{folder}/{name}", REMOVE) for name in (first, second, third)),
        ("leftover", f"{folder}/.bb.0123", REMOVE),
        ("orphan", f"+provenance/root%2Fgone/{first}", REMOVE),
        ("orphan", f"{folder}/aa", REMOVE),
    ]


@pytest.mark.parametrize(
    ("path", "way"),
    [
        ("+files/root/pypi/+f/abc/def/demo-1.0.zip", FETCH),
        ("+files/company/dev/+f/abc/def/own-1.0.zip", QUARANTINE),
        ("+files/root/pypi/stray.txt", REMOVE),
        (f"+metadata/by-index/root/pypi/ef/{'a' * 64}.{SHA256}", REMOVE),
        ("+upstream/root%2Fpypi/demo", REMOVE),
        ("+downloads/slow", REMOVE),
        (f"+provenance/root%2Fpypi/{SHA256}.{'a' * 64}", REMOVE),
    ],
)
def test_what_the_disk_does_not_read_is_damaged(mirror: _Mirror, path: str, way: str) -> None:
    """A failing disk is what a check is for, and must not end it. A link to itself fails for root, too."""
    if "/+f/" in path:
        mirror.record(path.removeprefix("+files/"))
    unreadable = mirror.store(path)
    unreadable.unlink()
    unreadable.symlink_to(unreadable.name)
    check = Check(mirror.folder, mirror)
    (problem,) = check.run(check.looks(), lambda: None)
    assert (problem.kind, problem.path, problem.repair) == ("damaged", path, way)
    assert problem.text == "cannot be read: Too many levels of symbolic links"


def test_a_download_that_gets_its_name_while_it_is_looked_at_is_no_problem(
    mirror: _Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror.store("+downloads/slow")

    def age_of_what_goes(path: Path) -> float:
        path.unlink(missing_ok=True)
        return UNFINISHED + 1

    monkeypatch.setattr("mirror.upkeep.check._age", age_of_what_goes)
    assert mirror.problems() == []


def test_the_server_is_asked_about_its_pages(mirror: _Mirror) -> None:
    mirror.store("+pages/fresh/demo/root/pypi.json.gz")
    mirror.store("+pages/stale/demo/root/pypi.html.gz")
    mirror.store("+pages/lock")
    mirror.untrue = [["root/pypi", "demo", ".json.gz"]]
    assert mirror.problems() == [("untrue", "+pages/demo/root/pypi.json.gz", RENDER)]
    asked = next(body for _, path, body in mirror.calls if path == "/+stored-pages")
    assert sorted(asked) == [("root/pypi", "demo", ".html.gz"), ("root/pypi", "demo", ".json.gz")]


def test_each_problem_is_repaired_in_its_way_and_uploads_are_put_aside(mirror: _Mirror) -> None:
    leftover = mirror.store("+downloads/slow")
    problems = [
        Problem("+files/company/dev/+f/abc/def/own-1.0.zip", "damaged", "", QUARANTINE),
        Problem("+files/company/dev/+f/abc/def/orphan-1.0.zip", "orphan", "", QUARANTINE),
        Problem("+files/company/dev/+f/abc/def/lost-1.0.zip", "missing", "", None),
        Problem("+downloads/slow", "leftover", "", REMOVE),
        Problem("+pages/demo/root/pypi.json", "untrue", "", RENDER),
    ]
    outcomes = Repair(mirror.folder, mirror, "http://127.0.0.1:9").run(problems, lambda: None)
    assert [each.repaired for each in outcomes] == [False, True, False, True, True]
    assert [body for _, _, body in mirror.calls] == [
        {"quarantine": ["company/dev/+f/abc/def/own-1.0.zip"]},
        {"quarantine": ["company/dev/+f/abc/def/orphan-1.0.zip"]},
        {"projects": ["demo"]},
    ]
    assert not leftover.exists()
    assert repair.exit_code(outcomes) == 1
    assert repair.summary(outcomes, 9) == "9 files and pages checked: 5 problems, 3 of them repaired"
    assert repair.summary(outcomes[:1], 9).startswith("9 files and pages checked: 1 problem, ")
    assert "upload it again" in repair.line(outcomes[0])


@pytest.mark.parametrize("way", [REMOVE, FETCH])
def test_what_the_server_does_not_remove_is_not_repaired(mirror: _Mirror, way: str) -> None:
    """Each night's check would call it so."""
    mirror.store("+files/root/pypi/stray.txt")
    mirror.removed = []
    problem = Problem("+files/root/pypi/stray.txt", "orphan", "", way)
    (outcome,) = Repair(mirror.folder, mirror, "http://127.0.0.1:9").run([problem], lambda: None)
    assert (outcome.repaired, "remove it yourself" in outcome.done) == (False, True)


def test_what_the_server_does_not_move_is_not_repaired(mirror: _Mirror) -> None:
    """It does that after it has answered what it is about to do."""
    mirror.moves = False
    problem = Problem("+files/company/dev/stray.txt", "orphan", "", QUARANTINE)
    (outcome,) = Repair(mirror.folder, mirror, "http://127.0.0.1:9").run([problem], lambda: None)
    assert (outcome.repaired, "could not be moved" in outcome.done) == (False, True)


def test_what_the_disk_does_not_remove_is_not_repaired(mirror: _Mirror) -> None:
    (mirror.folder.server / "+upstream" / "page").mkdir(parents=True)
    problem = Problem("+upstream/page", "damaged", "", REMOVE)
    (outcome,) = Repair(mirror.folder, mirror, "http://127.0.0.1:9").run([problem], lambda: None)
    assert not outcome.repaired


def test_a_mirror_without_problems_ends_with_0() -> None:
    assert (repair.exit_code([]), repair.summary([], 7)) == (0, "7 files and pages are as they should be")
    assert repair.as_json([Outcome(Problem("p", "k", "t", None))], 7)["problems"][0]["done"] is None


def test_metadata_that_its_wheel_does_not_have_is_untrue(mirror: _Mirror) -> None:
    """A replica gets wheels past what compares on arrival. Other indexes say what they like."""
    dist = wheel("demo", "1.0")
    path = f"root/pypi/+f/{dist.sha256[:3]}/{dist.sha256[3:16]}/{dist.filename}"
    mirror.record(path, sha256=dist.sha256)
    mirror.store(f"+files/{path}", dist.content)
    for index, content in (("root/pypi", dist.metadata), ("root/other", b"evil")):
        name = f"{dist.sha256}.{hashlib.sha256(content).hexdigest()}"
        mirror.store(f"+metadata/by-index/{index}/ef/{name}", content)
    assert mirror.problems() == []
    wrong = (
        f"by-index/root/pypi/ff/{dist.sha256}.{SHA256}",
        f"by-address/root/pypi/{dist.sha256[:3]}/{dist.sha256[3:16]}",
    )
    for before in (mirror.folder.server / "+metadata/by-index/root/pypi").rglob("*.*"):
        before.unlink()
    for each in wrong:
        mirror.store(f"+metadata/{each}")
    assert sorted(mirror.problems()) == sorted(("damaged", f"+metadata/{each}", REMOVE) for each in wrong)
