"""Tests of asking the index for known vulnerabilities while a build goes on."""

import json
import threading
from urllib.parse import parse_qs, urlsplit

import pytest

from packhorse.sbom import Part
from release import index
from release.build import advisories

PARTS = [Part("demo", "1.0"), Part("other", "2.0"), Part("local", "")]
AFFECTED = {
    "name": "demo",
    "version": "1.0",
    "id": "PYSEC-1",
    "severity": "high",
    "fixed_in": "1.1",
    "more": 1,
}


def answering(body: object, status: int = 200) -> tuple[index.Get, list[str]]:
    """HTTP with one answer for everything, and what was asked."""
    asked: list[str] = []

    def get(url: str, _accept: str) -> index.Response:
        asked.append(url)
        return index.Response(url, status, body=json.dumps(body).encode())

    return get, asked


def test_what_is_affected_is_a_warning_that_names_the_fix() -> None:
    """One question for all packages, to the server on which the index lies."""
    unknown = {**AFFECTED, "id": "PYSEC-2", "severity": "unknown", "fixed_in": None}
    get, asked = answering({"result": {"affected": [AFFECTED, unknown]}})
    assert advisories.ask(PARTS, "https://pypi.example.com/company/dev", get)() == [
        "demo 1.0 has the vulnerability PYSEC-1 (high; fixed in 1.1).",
        "demo 1.0 has the vulnerability PYSEC-2 (of unknown severity; no fix is known).",
    ]
    assert [urlsplit(url).path for url in asked] == ["/+advisories"]
    assert parse_qs(urlsplit(asked[0]).query) == {"package": ["demo==1.0", "other==2.0"]}


def test_many_packages_are_asked_for_in_addresses_that_nginx_takes() -> None:
    """It answers 414 to one of more than 8 kB."""
    get, asked = answering({"result": {"affected": []}})
    parts = [Part(f"a-project-with-quite-a-long-name-{number}", "2026.10.20") for number in range(250)]
    assert advisories.ask(parts, "https://pypi.example.com/company/dev", get)() == []
    assert len(asked) == 3
    assert max(map(len, asked)) < 8000


def test_more_warnings_than_anybody_reads_are_counted() -> None:
    """The first say enough."""
    get, _ = answering({"result": {"affected": [AFFECTED] * 50}})
    found = advisories.ask(PARTS, "https://pypi.example.com/company/dev", get)()
    assert len(found) == advisories.MOST + 1
    assert "30 more" in found[-1]


@pytest.mark.parametrize(
    ("body", "status"),
    [({}, 404), ("<html>", 200), ([], 200), ({"result": {"affected": [1]}}, 200), ({"result": None}, 200)],
)
def test_an_index_without_advisories_costs_no_build(body: object, status: int) -> None:
    """It may be no mirror of ours, or an earlier one."""
    get, _ = answering(body, status)
    assert advisories.ask(PARTS, "https://pypi.example.com/company/dev", get)() == []


def test_an_index_that_does_not_answer_costs_no_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither an error nor a wait beyond the limit."""
    never = threading.Event()
    monkeypatch.setattr(advisories, "PATIENCE", 0.01)

    def silent(_url: str, _accept: str) -> index.Response:
        never.wait()
        raise OSError

    def broken(_url: str, _accept: str) -> index.Response:
        raise OSError

    assert advisories.ask(PARTS, "https://pypi.example.com/company/dev", silent)() == []
    assert advisories.ask(PARTS, "https://pypi.example.com/company/dev", broken)() == []
    never.set()


def test_a_library_asks_nothing() -> None:
    """It has no lock."""
    get, asked = answering({})
    assert advisories.ask([], "https://pypi.example.com/company/dev", get)() == []
    assert asked == []
