"""What packages state about themselves is shown only where it is a plain https address."""

import pytest

from release.host.formats import project_link


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com:8443/a/b?c=d#e",
        "https://github.com/pallets/flask/blob/main/CHANGES.rst",
    ],
)
def test_an_https_address_is_shown(url: str) -> None:
    assert project_link.is_link(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "javascript:alert(1)",
        "https://user:password@example.com/",
        "https://example.com@evil.example.org/",
        "https://example.com/\x1b[2J",
        "https://example.com/\u202e",
        "https://example.com/a b",
        "https://example.com/\nError: nothing works",
        "https://exämple.com/",
        'https://example.com/"><script>',
        "https://example.com/" + "a" * 300,
        "-https://example.com",
        None,
        7,
        ["https://example.com"],
    ],
)
def test_what_would_trick_a_reader_or_a_terminal_is_not(url: object) -> None:
    """A stranger's package has any text there, and so has a compromised host."""
    assert not project_link.is_link(url)


def test_the_changelog_is_what_who_compares_versions_wants() -> None:
    """Labels are spelled in every way (PEP 753)."""
    stated = [
        ("Homepage", "https://example.com/"),
        ("Source Code", "https://example.com/source"),
        ("Change-Log", "https://example.com/changes"),
    ]
    assert project_link.best(stated) == "https://example.com/changes"
    assert project_link.best(stated[:2]) == "https://example.com/source"
    assert project_link.best([("Docs", "https://example.com/docs")]) == "https://example.com/docs"
    assert project_link.best([("Changelog", "http://example.com/changes")]) is None
