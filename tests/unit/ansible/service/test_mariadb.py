"""The promises of packhorse_service.mariadb."""

import pytest
from packhorse_service import mariadb
from packhorse_service.state import Database

SHOP = Database("shop_production_db", "mariadb", host="10.0.0.4", port=3306, passwords={"a": "x"})
DEBIAN = ["--pid-file=/run/mysqld/mysqld.pid", "--bind-address=127.0.0.1", "--character-set-server=utf8mb4"]
OURS = ["--bind-address=127.0.0.1,10.0.0.4", "--ssl_cert=/a", "--ssl_key=/b"]
PRESENT = "[mysqld]\nbind-address = 127.0.0.1,10.0.0.4\nssl_cert = /a\nssl_key = /b\n"


@pytest.mark.parametrize(
    ("defaults", "present", "ours", "expected"),
    [
        (DEBIAN, "", ["10.0.0.4"], ("127.0.0.1,10.0.0.4", True)),
        ([*DEBIAN, *OURS], PRESENT, ["10.0.0.4"], ("127.0.0.1,10.0.0.4", True)),
        ([*DEBIAN, *OURS], PRESENT, ["10.0.0.4", "10.0.0.9"], ("127.0.0.1,10.0.0.4,10.0.0.9", True)),
        (DEBIAN, "", None, ("*", True)),
        ([*DEBIAN, "--bind-address=0.0.0.0"], "", ["10.0.0.4"], ("", True)),
        ([*DEBIAN, "--bind_address=10.0.0.7"], "", ["10.0.0.4"], ("10.0.0.7,10.0.0.4", True)),
        ([*DEBIAN, "--ssl-cert=/own.pem"], "", ["10.0.0.4"], ("127.0.0.1,10.0.0.4", False)),
        ([], "", ["10.0.0.4"], ("", True)),
    ],
)
def test_the_server_listens_where_clients_are_and_where_administrators_say(
    defaults: list[str], present: str, ours: list[str] | None, expected: tuple[str, bool]
) -> None:
    """What they have set is added to, and never taken away."""
    assert mariadb.wanted_settings(defaults, present, ours, needs_tls=True) == expected


def test_a_server_for_its_own_host_alone_stays_as_it_is() -> None:
    """Without a restart, on a host with databases of others."""
    assert mariadb.wanted_settings(DEBIAN, "", [], needs_tls=False) == ("", False)


def test_an_underscore_in_a_grant_means_itself() -> None:
    """It stands for any character there: shop_a_db would open shop-a_db of somebody else."""
    assert mariadb._pattern(SHOP) == r"shop\_production\_db"


def test_names_and_texts_are_quoted() -> None:
    """Names of release.toml have none of these characters; this does not rely on it."""
    assert mariadb.identifier("a`; DROP") == "`a``; DROP`"
    assert mariadb.literal("a'b\\") == r"'a''b\\'"


def test_logins_from_other_hosts_need_tls() -> None:
    """Nobody in between is on the host itself."""
    assert mariadb.url(SHOP, "a").endswith("@10.0.0.4:3306/shop_production_db?ssl_mode=REQUIRED")
    own = mariadb.url(SHOP.with_(host="127.0.0.1"), "a")
    assert own == "mysql://shop_production_db__a:x@127.0.0.1:3306/shop_production_db"
    assert (mariadb._tls("10.0.0.5"), mariadb._tls("127.0.0.1")) == ("SSL", "NONE")
