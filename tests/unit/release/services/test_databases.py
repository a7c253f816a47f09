"""The promises of release.services.databases: what is declared, what is there, what is wrong."""

import tomllib

import pytest

from packhorse.errors import PackhorseError
from release.config.release_toml import ReleaseConfig
from release.services import answers, databases, reach
from release.services.databases import Found
from tests.support import documents

CACHE = {"kind": "redis", "hosts": ["db2"]}
CONFIG = ReleaseConfig.model_validate(
    {
        "app": "shop",
        "services": {
            "db": {"kind": "postgresql", "hosts": ["db1"]},
            "cache": CACHE,
        },
        "targets": {
            "production": {"hosts": ["web1"], "services": ["db", "cache"]},
            "staging": {"hosts": ["web2"], "services": ["db"]},
        },
    }
)
NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z


def found(
    name: str, host: str = "db1", *, error: str = "", backups: dict[str, object] | None = None
) -> Found:
    """A database as a host answers."""
    app, target, service = name.split("_")
    known = {"name": name, "kind": "postgresql", "app": app, "target": target, "service": service}
    server = answers.DatabaseState.model_validate({**known, "login": f"{name}__a", "error": error})
    base: dict[str, object] = {
        "at": "daily",
        "copy_to": None,
        "backups": [],
        "last": {},
        "old": None,
        "interrupted": False,
    }
    there = answers.Database.model_validate({**known, **base, "folder": "/x", **(backups or {})})
    return Found(host, server, there)


def backup(name: str) -> dict[str, object]:
    known = {"name": name, "database": "shop_production_db", "kind": "postgresql", "version": "15"}
    return {**known, "size": 1, "sha256": "0", "rows": 2, "tables": 1}


UNUSED = ReleaseConfig.model_validate(
    {
        "app": "shop",
        "services": {"db": {"kind": "postgresql", "hosts": ["db1"]}, "cache": CACHE},
        "targets": {"production": {"hosts": ["web1"], "services": ["cache"]}, "staging": {"hosts": ["web2"]}},
    }
)


def test_a_service_that_no_target_uses_comes_with_the_line_to_write() -> None:
    """Without it nothing is made, and nothing looks wrong."""
    (told,) = databases.unused(UNUSED)
    assert told.message == "No target uses db."
    assert told.hint == (
        'Write services = ["cache", "db"] below [targets.production] (or of staging), '
        "and: release provision production"
    )
    with pytest.raises(PackhorseError) as refused:
        databases.places(UNUSED, "db", None)
    assert refused.value.hint == told.hint
    with pytest.raises(PackhorseError) as refused:
        databases.place(UNUSED, "cache", "staging")
    assert 'Write services = ["cache"] below [targets.staging], and:' in refused.value.hint
    assert list(databases.unused(CONFIG)) == []


def test_a_host_that_nobody_has_prepared_has_no_database_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is no failure; one that does not answer is."""

    def converse(host: reach.Host, *_: object) -> dict[str, object]:
        if host.name == "db1":
            raise host.not_provisioned("packhorse-service")
        raise PackhorseError("db2: it cannot be reached.", "Try.")

    monkeypatch.setattr(reach.Host, "converse", converse)
    asked = databases.ask(CONFIG, ["db1", "db2"])
    assert asked["db1"] == []
    rows = databases.rows(CONFIG, asked)
    assert [row.failure is not None for row in rows] == [False, False, True]
    assert next(databases.plan(rows)).endswith("would be made: release provision production")


def test_each_target_of_a_service_has_a_database_there() -> None:
    """In the order of release.toml."""
    names = [(each.name, each.host) for each in databases.declared(CONFIG)]
    assert names == [
        ("shop_production_db", "db1"),
        ("shop_staging_db", "db1"),
        ("shop_production_cache", "db2"),
    ]


def test_the_plan_names_what_is_missing_left_over_and_unknown() -> None:
    """And nothing of what is right."""
    down = PackhorseError("db2: it cannot be reached.", "Try.")
    rows = databases.rows(CONFIG, {"db1": [found("shop_production_db"), found("shop_old_db")], "db2": down})
    assert list(databases.plan(rows)) == [
        "db1: shop_staging_db (postgresql) would be made: release provision staging",
        "db2: shop_production_cache: unknown: db2: it cannot be reached.",
        (
            "db1: shop_old_db (postgresql) is not in release.toml, and kept. To remove it, with a backup "
            "before: release services remove db old --host db1"
        ),
    ]


def test_a_database_that_moved_is_left_over_where_it_was() -> None:
    """Hosts of targets are asked, too: a service moves away from one."""
    rows = databases.rows(CONFIG, {"db1": [], "db2": [], "web1": [found("shop_production_db", "web1")]})
    assert "web1: shop_production_db (postgresql) is not in release.toml" in list(databases.plan(rows))[-1]
    assert databases.hosts(CONFIG, ["db9"]) == ["db1", "db2", "web1", "web2", "db9"]


@pytest.mark.parametrize(
    ("service", "target", "message"),
    [
        ("nope", "production", "There is no service nope; release.toml has: db, cache."),
        ("db", "nope", "There is no target nope."),
        ("cache", "staging", "staging does not use cache."),
    ],
)
def test_what_is_not_declared_is_said(service: str, target: str, message: str) -> None:
    """With what to write."""
    with pytest.raises(PackhorseError) as raised:
        databases.place(CONFIG, service, target)
    assert raised.value.message == message


@pytest.mark.parametrize(
    ("there", "state", "text"),
    [
        ({"backups": [backup("20251231T230000Z")]}, "ok", "the last backup is from 60 min ago"),
        ({"backups": []}, "warning", "has no backup yet"),
        ({"backups": [backup("20251231T230000Z")], "overdue": int(NOW) + 1}, "ok", "is from 60 min ago"),
        (
            {"backups": [backup("20251231T230000Z")], "at": "*:0/5", "overdue": int(NOW) - 1},
            "failed",
            "is from 60 min ago; its timer (*:0/5) has made none since",
        ),
        ({"backups": [backup("20251231T230000Z"), backup("20270101T000000Z")]}, "ok", "60 min ago"),
        ({"backups": [backup("20260101T000100Z")]}, "ok", "just now"),  # its clock is a minute ahead
        ({"backups": [], "last": {"ok": False, "error": "No space"}}, "failed", "failed: No space"),
        ({"interrupted": True}, "failed", "a restore of shop_production_db was interrupted"),
    ],
)
def test_doctor_says_when_backups_fail_or_end(there: dict[str, object], state: str, text: str) -> None:
    """A backup that nobody makes is noticed when it is needed."""
    rows = databases.rows(CONFIG, {"db1": [found("shop_production_db", backups=there)]})
    (check,) = databases.checks(rows[:1], NOW)
    assert (check.state, text in check.text) == (state, True)


def test_doctor_says_what_does_not_answer_or_is_not_there() -> None:
    """Before an application fails on it."""
    rows = databases.rows(CONFIG, {"db1": [found("shop_production_db", error="It is down.")]})
    states = [(check.state, check.text) for check in databases.checks(rows[:2], NOW)]
    assert states == [("failed", "It is down."), ("failed", "shop_staging_db is not on db1")]


def test_the_settings_that_the_page_shows_are_taken() -> None:
    """Docs/services.md begins with them."""
    (block,) = [each for each in documents.blocks("services.md") if each.language == "toml"]
    config = ReleaseConfig.model_validate(tomllib.loads(block.text))
    assert [each.name for each in databases.declared(config)] == ["tiny_production_db"]
