"""The promises of release.services.urls: only the login of a URL changes."""

import pytest
import sqlalchemy

from packhorse.errors import PackhorseError
from release.services import urls
from tests.support import documents

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


MY = "mysql://shop_production_my__a:p@10.0.0.4:3306/shop_production_my?ssl_mode=REQUIRED"


@pytest.mark.parametrize(
    ("url", "scheme", "options"),
    [
        (NEW, "postgresql+psycopg", "sslmode=require"),
        (NEW, "postgres", "sslmode=require"),
        (NEW, "postgresql+asyncpg", "ssl=require"),
        (f"{NEW}&connect_timeout=5", "postgresql+asyncpg", "ssl=require&connect_timeout=5"),
        (NEW.replace("=require", "=verify-full"), "postgresql+asyncpg", "sslmode=verify-full"),
        (MY, "mysql+pymysql", "ssl_check_hostname=false"),
        (MY, "mariadb+mysqldb", "ssl_mode=REQUIRED"),
        (MY.partition("?")[0], "mysql+pymysql", ""),
    ],
)
def test_another_scheme_brings_its_driver_s_word_for_tls(url: str, scheme: str, options: str) -> None:
    """An option of another driver is an error at the first connection. All of it goes there and back."""
    changed = urls.with_scheme(url, scheme)
    place = url.partition("://")[2].partition("?")[0]
    assert changed == f"{scheme}://{place}{'?' if options else ''}{options}"
    assert urls.with_scheme(changed, url.partition("://")[0]) == url


@pytest.mark.parametrize(
    ("scheme", "kind"),
    [
        ("mysql", "postgresql"),
        ("postgresql", "redis"),
        ("postgresql+", "postgresql"),
        ("postgresql://x", "postgresql"),
        ("postgresql+psycopg\n", "postgresql"),
        ("", "mariadb"),
    ],
)
def test_what_is_no_scheme_of_the_database_is_refused(scheme: str, kind: str) -> None:
    """With one that is."""
    with pytest.raises(PackhorseError) as refused:
        urls.check_scheme(scheme, kind)
    assert f"--scheme {urls.SCHEMES[kind][0]}" in refused.value.hint
    for each in urls.SCHEMES[kind]:
        urls.check_scheme(each, kind)


def test_a_scheme_stays_when_the_database_moves_and_when_its_login_changes() -> None:
    """The driver of the application is the same as before."""
    mine = urls.with_scheme(NEW, "postgresql+asyncpg") + "&application_name=x"
    after = NEW.replace("__b:new", "__a:newer")
    assert urls.kept(mine, after) == mine.replace("__b:new", "__a:newer")
    moved = after.replace("10.0.0.4", "10.0.0.5")
    assert urls.kept(mine, moved) == urls.with_scheme(moved, "postgresql+asyncpg")
    assert urls.kept("//shop_production_db__b:new@x/y", moved) == moved


TLS = {"sslmode": "require", "ssl_mode": "REQUIRED", "ssl": "require"}


@pytest.mark.parametrize(("kind", "url"), [("postgresql", NEW), ("mariadb", MY)])
def test_sqlalchemy_reads_each_scheme_with_tls(kind: str, url: str) -> None:
    """As what its driver connects with, which nobody has to have installed for this."""
    for scheme in set(urls.SCHEMES[kind]) - {"mysql+aiomysql", "mysql+asyncmy"}:  # they import PyMySQL
        made = sqlalchemy.make_url(urls.with_scheme(url, scheme))
        options = made.get_dialect()().create_connect_args(made)[1]
        assert (options["host"], options["port"]) == ("10.0.0.4", made.port)
        assert options["user"].startswith("shop_production_")
        tls = {name: value for name, value in options.items() if "ssl" in name}
        assert tls.items() <= TLS.items() or tls == {"ssl": {"check_hostname": False}}, scheme
        assert tls, scheme


def test_the_table_of_drivers_has_what_attach_writes() -> None:
    """And each scheme is there."""
    page = (documents.CHECKOUT / "docs/services.md").read_text()
    for scheme in (scheme for some in urls.SCHEMES.values() for scheme in some):
        assert f"`{scheme}`" in page, scheme
    for option in ("ssl=require", "ssl_check_hostname=false"):
        assert f"`{option}`" in page
