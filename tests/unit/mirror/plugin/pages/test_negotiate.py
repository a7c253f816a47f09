"""Which form of a page a client gets."""

import pytest

from mirror.plugin.pages import negotiate
from mirror.plugin.simple.content_types import HTML, JSON, TEXT

PIP = f"{JSON}, {HTML}; q=0.1, {TEXT}; q=0.01"
UV = f"{JSON}, {HTML};q=0.2, {TEXT};q=0.01"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        (None, TEXT),
        ("", TEXT),
        ("*/*", TEXT),
        (PIP, JSON),
        (UV, JSON),
        (BROWSER, TEXT),
        (JSON, JSON),
        (HTML, HTML),
        (TEXT, TEXT),
        (f"{JSON};q=0.1, {HTML}", HTML),
        (f"{JSON};q=0.1, */*", TEXT),
        (f"{JSON};q=0, */*", TEXT),
        (f"{TEXT};q=0, */*;q=0.1", JSON),
        (f"{TEXT}, {JSON}", JSON),
        ("application/*", JSON),
        ("text/*;q=0.3, application/*;q=0.2", TEXT),
        ("application/vnd.pypi.simple.latest+json", JSON),
        ("application/vnd.pypi.simple.latest+html", HTML),
        (f"{JSON.upper()} ; Q=0.5", JSON),
        (f"{JSON};q=nonsense, {TEXT};q=0.1", TEXT),
        ("application/json", JSON),
        ("application/json, text/html;q=0.9", JSON),
        ("application/json, */*;q=0.1", JSON),
        (f"{TEXT}; charset=utf-8", TEXT),
        (f"{TEXT};level=1;q=0.5, {JSON};q=0.4;x=y", TEXT),
        (";;,=", TEXT),
        ("image/png", None),
        (f"{JSON};q=0", None),
        ("application/vnd.pypi.simple.v2+json", None),
    ],
)
def test_the_best_of_what_a_client_takes_is_chosen(accept: str | None, answer: str | None) -> None:
    """PEP 691 and RFC 9110, 12.5.1: the most precise range counts, then quality, then our preference."""
    assert negotiate.content_type(accept) == answer


def test_the_format_parameter_wins_over_the_header() -> None:
    """PEP 691, for people with a browser."""
    assert negotiate.content_type(BROWSER, JSON) == JSON
    assert negotiate.content_type(PIP, TEXT) == TEXT
    assert negotiate.content_type(PIP, "application/json") == JSON
    assert negotiate.content_type(PIP, "image/png") is None


@pytest.mark.parametrize(
    ("header", "takes"),
    [
        (None, False),
        ("gzip, deflate, br", True),
        ("GZIP;q=0.1", True),
        ("gzip;q=0", False),
        ("*", True),
        ("*;q=0", False),
        ("gzip;q=0, *", False),
        ("identity", False),
    ],
)
def test_gzip_is_for_those_who_take_it(header: str | None, takes: bool) -> None:  # noqa: FBT001 (parametrised)
    """A client that does not know gzip would see garbage."""
    assert negotiate.takes_gzip(header) is takes
