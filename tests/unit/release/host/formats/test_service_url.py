"""The promises of release.host.formats.service_url."""

import pytest

from release.host.formats import service_url

NOW = "postgresql://shop_production_db__b:new@10.0.0.6:5432/shop_production_db?sslmode=require"


@pytest.mark.parametrize(
    ("earlier", "present", "expected"),
    [
        (
            "postgresql+psycopg2://shop_production_db__a:old@10.0.0.5:5432/shop_production_db?sslmode=require",
            NOW,
            "postgresql+psycopg2://shop_production_db__b:new@10.0.0.6:5432/shop_production_db?sslmode=require",
        ),
        (
            "redis://shop_production_cache:old@10.0.0.5:6379/0",
            "redis://shop_production_cache:new@10.0.0.5:6380/0",
            "redis://shop_production_cache:new@10.0.0.5:6380/0",
        ),
    ],
)
def test_a_login_that_was_closed_does_not_come_back(earlier: str, present: str, expected: str) -> None:
    """A rollback after a rotation would take the site down: what the code brings along stays."""
    kept = service_url.with_present_logins("shop", {"X": "1", "URL": earlier}, {"X": "2", "URL": present})
    assert kept == {"X": "1", "URL": expected}


@pytest.mark.parametrize(
    ("earlier", "present"),
    [
        ("postgresql://shop:secret@db.example.com/shop", NOW),
        ("postgresql://shop_staging_db__a:old@10.0.0.5:5432/shop_staging_db", NOW),
        (NOW, ""),
        (NOW, "postgresql://shop:secret@db.example.com/shop"),
        ("postgresql://other_production_db__a:x@h/d", "postgresql://other_production_db__b:y@h/d"),
        ("shop_production_db__a", NOW),
        ("", NOW),
    ],
)
def test_any_other_value_is_what_it_was(earlier: str, present: str) -> None:
    """A release is code and configuration: only logins of ours are no part of it."""
    kept = service_url.with_present_logins("shop", {"URL": earlier}, {"URL": present} if present else {})
    assert kept == {"URL": earlier}
