"""Tests of what was found out about files, as it is stored."""

from contextlib import nullcontext
from pathlib import Path

from mirror.plugin.evidence.store import EvidenceStore
from mirror.plugin.policy.evidence import Evidence, License, Provenance

ACME, OTHER = {"kind": "GitHub", "repository": "acme/demo"}, {"kind": "GitHub", "repository": "evil/demo"}


def store(folder: Path) -> EvidenceStore:
    return EvidenceStore(folder / "evidence", lambda _: nullcontext())


def test_what_was_found_is_there_after_a_restart_and_the_first_publisher_stays(tmp_path: Path) -> None:
    """A later file of another publisher must not become the one that is expected."""
    first = store(tmp_path)
    assert first.version("root/pypi", "demo") is None
    first.add(
        "root/pypi",
        "demo",
        [("a", Provenance("1", problem="is none")), ("b", Provenance("2", (ACME,)))],
        ["a", "b"],
    )
    before = first.version("root/pypi", "demo")
    first.add("root/pypi", "demo", [("c", Provenance("3", (OTHER,))), ("w", License("4", "MIT"))], ["c"])
    assert first.version("root/pypi", "demo") != before
    found = store(tmp_path).read("root/pypi", "demo")
    assert set(found.provenance) == {"a", "b", "c"}
    assert (found.pinned, found.licenses) == ((ACME,), {"w": License("4", "MIT")})
    assert store(tmp_path).read("root/pypi", "other") == Evidence()


def test_a_file_that_somebody_asks_for_does_not_say_who_the_publisher_is(tmp_path: Path) -> None:
    """A stranger would choose the publisher by asking for an old file first."""
    known = store(tmp_path)
    known.add("root/pypi", "demo", [("a", Provenance("1", (OTHER,)))])
    assert known.read("root/pypi", "demo").pinned == ()
    known.add("root/pypi", "demo", [("a", Provenance("1", (OTHER,))), ("b", Provenance("2", (ACME,)))], ["b"])
    assert known.read("root/pypi", "demo").pinned == (ACME,)


def test_of_a_damaged_record_remains_that_the_first_publisher_is_lost(tmp_path: Path) -> None:
    """Files are verified again then; whoever comes next must not be the first."""
    store(tmp_path).add("root/pypi", "demo", [("a", Provenance("1", (ACME,)))], ["a"])
    path = tmp_path / "evidence" / "root%2Fpypi" / "demo"
    for content in (b"", b"{", b"\xff", b'{"provenance": 1}'):
        path.write_bytes(content)
        assert store(tmp_path).read("root/pypi", "demo") == Evidence(is_damaged=True)
    store(tmp_path).add("root/pypi", "demo", [("a", Provenance("1", (OTHER,)))], ["a"])
    found = store(tmp_path).read("root/pypi", "demo")
    assert (found.pinned, found.is_damaged, set(found.provenance)) == ((), True, {"a"})
    path.unlink()
    assert store(tmp_path).read("root/pypi", "demo") == Evidence()


def test_a_license_and_an_index_are_forgotten(tmp_path: Path) -> None:
    """The wheel has other metadata than its upstream said; the next index of a name has another upstream."""
    known = store(tmp_path)
    known.add("root/pypi", "demo", [("w", License("4", "MIT")), ("a", Provenance("1", (ACME,)))], ["a"])
    known.forget_license("root/pypi", "demo", "w")
    assert (known.read("root/pypi", "demo").licenses, known.read("root/pypi", "demo").pinned) == ({}, (ACME,))
    known.remove_index("root/pypi")
    assert known.read("root/pypi", "demo") == Evidence()


def test_only_a_provenance_that_proved_nothing_is_forgotten(tmp_path: Path) -> None:
    """Another one has come; what was verified stays so."""
    known = store(tmp_path)
    good, bad = Provenance("1", (ACME,)), Provenance("2", problem="is none", again=9.0)
    known.add("root/pypi", "demo", [("a", good), ("b", bad), ("w", License("4", "MIT"))], ["a"])
    for name in ("a", "b", "b", "gone"):
        known.forget_problem("root/pypi", "demo", name)
    expected = Evidence({"a": good}, {"w": License("4", "MIT")}, (ACME,))
    assert store(tmp_path).read("root/pypi", "demo") == expected
