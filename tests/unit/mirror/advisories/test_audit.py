"""Tests of the report about what is affected."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from mirror.advisories import audit, database
from mirror.advisories.audit import Package
from mirror.advisories.database import Database
from mirror.advisories.matching import Advisory, Event
from mirror.advisories.settings import Advisories
from packhorse import settings
from packhorse.errors import PackhorseError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RANGE: tuple[tuple[Event, ...], ...] = ((("introduced", "0"), ("fixed", "2.0")),)
FLASK = Package("flask", "1.0")


@pytest.fixture
def known(tmp_path: Path) -> Database:
    """A file with an advisory of each kind."""
    found = {
        "flask": [
            Advisory("GHSA-1", ("CVE-1",), "high", 7.5, "Cookies leak.", RANGE),
            Advisory("PYSEC-2", (), "unknown", None, "", ((("introduced", "0"),),)),
        ],
        "jinja2": [Advisory("GHSA-3", (), "low", 2.0, "Something.", RANGE)],
    }
    database.write(tmp_path / "db", found, datetime(2026, 2, 20, tzinfo=UTC))
    return Database(tmp_path / "db")


def parsed(table: dict[str, object]) -> Advisories:
    """Settings as mirror.toml has them."""
    return settings.parse(Advisories, table, "mirror.toml: advisories")


def run(known: Database, table: dict[str, object], least: str = "low") -> audit.AuditReport:
    """The report about three packages."""
    packages = {
        FLASK: ["a.lock"],
        Package("jinja2", "1.0"): ["a.lock", "b.lock"],
        Package("jinja2", "3.0"): ["b.lock"],
    }
    return audit.audit(packages, known, parsed(table), least, NOW)


def test_the_report_names_severity_fix_aliases_and_places(known: Database) -> None:
    """Everything that is needed to act, without an address to look anything up."""
    assert (
        audit.as_text(run(known, {}))
        == """\
flask 1.0: high 7.5, fixed in 2.0
    GHSA-1, CVE-1
    Cookies leak.
    in a.lock
flask 1.0: severity unknown, no fix is known
    PYSEC-2
    in a.lock
jinja2 1.0: low 2, fixed in 2.0
    GHSA-3
    Something.
    in a.lock, b.lock

2 of 3 packages are affected, by 3 vulnerabilities (1 high, 1 low, 1 unknown)"""
    )


def test_a_severity_leaves_out_what_is_known_to_be_below_it(known: Database) -> None:
    """An unknown one may be the worst of all."""
    assert [each.finding.id for each in run(known, {}, "critical").affected] == ["PYSEC-2"]
    assert [each.finding.id for each in run(known, {}, "high").affected] == ["GHSA-1", "PYSEC-2"]


def test_what_is_ignored_passes_by_any_of_its_ids_until_its_day(known: Database) -> None:
    """An ignored vulnerability comes back by itself; the report says that it was ignored, and why."""
    entry = {"id": "CVE-1", "until": date(2026, 3, 2), "reason": "no cookies"}
    report = run(known, {"ignore": [entry, "PYSEC-2", "GHSA-3"]})
    assert report.affected == []
    assert audit.as_text(report) == "none of 3 packages is affected; 3 ignored"
    assert audit.as_json(report)["ignored"][0]["ignored"] == {"until": "2026-03-02", "reason": "no cookies"}
    over = run(known, {"ignore": [{**entry, "until": date(2026, 3, 1)}, "PYSEC-2", "GHSA-3"]})
    assert [each.finding.id for each in over.affected] == ["GHSA-1"]
    assert "was ignored until 2026-03-01: no cookies" in audit.as_text(over)


def test_advisories_that_are_older_than_allowed_are_old(known: Database) -> None:
    """Nine days are fine by default, not with a limit of a week."""
    assert not run(known, {}).is_old
    assert run(known, {"max_days_old": 7}).is_old


def test_no_advisories_are_an_error_and_not_safety(tmp_path: Path) -> None:
    """A build server without the file would report for ever that nothing is affected."""
    with pytest.raises(PackhorseError, match="no advisories yet"):
        audit.audit({FLASK: []}, Database(tmp_path / "none"), Advisories(), "low", NOW)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"ignore": "PYSEC-1"}, "ignore"),
        ({"ignore": [{"id": "PYSEC-1", "til": 1}]}, 'did you mean "until"'),
        ({"ignore": [{"reason": "x"}]}, "id"),
        ({"ignore": ["a b"]}, "is not an id"),
        ({"ignore": [{"id": "PYSEC-1", "until": "soon"}]}, "until"),
        ({"max_days_old": 0}, "max_days_old"),
        ({"ignored": []}, 'did you mean "ignore"'),
    ],
)
def test_wrong_settings_are_named(table: dict[str, object], message: str) -> None:
    """A typing error must not switch a guard off."""
    with pytest.raises(PackhorseError, match=message):
        parsed(table)


def test_the_files_of_an_index_are_its_packages(tmp_path: Path) -> None:
    """Whatever else lies there, such as test results, is none."""
    for name in (
        "a/b/Demo_App-1.0.0-py3-none-any.whl",
        "c/d/demo.app-1.1.tar.gz",
        "e/f/results.json",
        "e/demo.zip",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert sorted(audit.held(tmp_path)) == [Package("demo-app", "1.0.0"), Package("demo-app", "1.1")]
    assert list(audit.held(tmp_path / "none")) == []
