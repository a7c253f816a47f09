"""The promises of release.host.formats.log_line."""

import pytest

from release.host.formats import log_line


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("2026-11-26T05:13:50.123456Z 4711 GET / 200", "GET / 200"),
        ("2026-11-26T05:13:50.123456Z 4711+ it goes on", "it goes on"),
        ("2026-11-26T05:13:50.123456Z 4711   indented ", "  indented "),
        ("2026-11-26T05:13:50.123456Z 4711 ", ""),
        ("GET / 200", "GET / 200"),
        ("2026-11-26T05:13:50Z 4711 a time of its own", "2026-11-26T05:13:50Z 4711 a time of its own"),
        ("", ""),
    ],
)
def test_a_line_is_shown_as_the_process_wrote_it(line: str, text: str) -> None:
    """A supervisor of an earlier version writes no time."""
    assert log_line.text_of(line) == text
