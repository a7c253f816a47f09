"""What two releases differ in, as lines and for scripts."""

from typing import Any

from release.inspect import comparison

ARTIFACT = {"filename": "shop-1.0.whl", "sha256": "a", "index": "https://i/company/prod", "commit": "aaa"}


def release(number: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """A release as a host describes it."""
    return {
        "release": number,
        "kept": True,
        "state": "good",
        "reason": "",
        "changed": "code",
        "project": "shop",
        "version": "1.0",
        "by": "ann@laptop",
        "at": "2026",
        "python": "3.11.4",
        "artifact": ARTIFACT,
        "origin": number,
        "processes": {"web": "serve"},
        "dependencies": [],
        "variables": [],
        **more,
    }


OLD = release(
    1,
    dependencies=[
        {"name": "flask", "version": "2.0", "url": "https://example.com/changes"},
        {"name": "gone", "version": "1", "url": None},
    ],
    variables=[{"name": "A", "digest": "1"}, {"name": "B", "digest": "1"}, {"name": "C", "digest": "1"}],
)
NEW = release(
    2,
    version="2.0",
    artifact={**ARTIFACT, "sha256": "b", "commit": "bbb"},
    processes={"web": "serve --fast", "worker": "work"},
    dependencies=[
        {"name": "flask", "version": "3.0", "url": "https://example.com/changes"},
        {"name": "new", "version": "1", "url": "javascript:alert(1)"},
    ],
    variables=[{"name": "A", "digest": "1"}, {"name": "B", "digest": "2"}, {"name": "D", "digest": "1"}],
)


def test_everything_that_changed_is_a_line_and_nothing_else() -> None:
    """A link of a stranger's package is shown only as plain https."""
    found = comparison.difference(OLD, NEW)
    assert list(comparison.lines(found, ("release 1", "release 2"))) == [
        "release 1 -> release 2",
        "  version       1.0 -> 2.0",
        "  commits       aaa..bbb",
        "  dependencies  ~ flask 2.0 -> 3.0  https://example.com/changes",
        "                - gone 1",
        "                + new 1",
        "  variables     ~ B",
        "                - C",
        "                + D",
        "  processes     ~ web",
        "                + worker",
    ]
    assert "digest" not in str(found)


def test_the_same_is_said_to_be_the_same() -> None:
    """An empty answer could be a failure."""
    assert list(comparison.lines(comparison.difference(OLD, {**OLD, "release": 3}), ("1", "3"))) == [
        "1 -> 3",
        "  version       1.0, the same code",
        "  dependencies  none changed",
        "  variables     none changed",
        "  processes     none changed",
    ]


def test_of_a_release_that_is_gone_nothing_is_guessed() -> None:
    """Its dependencies would all seem to be new."""
    gone = {key: OLD[key] for key in ("release", "state", "reason", "changed", "version", "by", "at")}
    found = comparison.difference({**gone, "kept": False, "artifact": None}, NEW)
    assert list(comparison.lines(found, ("1", "2"))) == [
        "1 -> 2",
        "  (of one of them only the journal knows it: its files were removed)",
        "  version       1.0 -> 2.0",
        "  commits       unknown..bbb",
    ]


def test_details_have_what_is_known_and_no_empty_lines() -> None:
    """A worker has no address, an old release no signer."""
    made = release(
        7,
        origin=5,
        state="failed",
        reason="it is not healthy",
        artifact={**ARTIFACT, "committer": "Ann <a@b>", "dirty": True},
        dependencies=[{"name": "flask", "version": "3.0", "url": "https://example.com"}],
    )
    text = "\n".join(comparison.details(made))
    for part in (
        "state         failed: it is not healthy",
        "content of    release 5",
        "commit        aaa of Ann <a@b>, with changes since",
        "processes     web: serve",
        "dependencies  flask 3.0  https://example.com",
    ):
        assert part in text
    assert "signed by" not in text
