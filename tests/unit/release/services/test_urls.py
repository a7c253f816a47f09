"""The promises of release.services.urls: only the login of a URL changes."""

import pytest

from release.services import urls

NEW = "postgresql://shop_production_db__b:new@10.0.0.4:5432/shop_production_db?sslmode=require"


@pytest.mark.parametrize("login", ["shop_production_db__a:old", "shop_production_db__b:by/hand"])
def test_all_but_the_login_stays(login: str) -> None:
    """Whatever the password in it: the scheme of SQLAlchemy and the options are the user's."""
    edited = "postgresql+psycopg2://{}@pooler:6432/shop_production_db?sslmode=require&connect_timeout=5"
    expected = edited.format("shop_production_db__b:new")
    assert urls.with_login(edited.format(login), NEW) == expected
    assert urls.with_login(expected, NEW) == expected


def test_other_databases_keep_their_login() -> None:
    """A name that only begins or ends alike is another database."""
    other = "postgresql://shop_production_db2__a:old@10.0.0.4:5432/shop_production_db2"
    assert urls.with_login(other, NEW) == other


def test_a_url_of_another_host_has_another_address() -> None:
    """After the loss of a host, attach gives the URL of the new one."""
    assert urls.same_address(NEW.replace("postgresql:", "postgresql+psycopg2:"), NEW)
    assert not urls.same_address(NEW.replace("10.0.0.4", "10.0.0.5"), NEW)
