"""The promises of packhorse_service.postgresql."""

from packhorse_service import postgresql
from packhorse_service.state import Database

SHOP = Database("shop_production_db", "postgresql", clients=("10.0.0.5", "fd00::5"), passwords={"a": "x"})
BLOG = Database("blog_production_db", "postgresql", clients=("10.0.0.6",))


def test_a_login_comes_from_its_hosts_by_tls_and_by_no_other_way() -> None:
    """The first line that fits counts: no line of others lets it in, nor into another database."""
    logins = '"shop_production_db__a","shop_production_db__b"'
    assert postgresql.rules([SHOP]).splitlines() == [
        f'hostssl "shop_production_db" {logins} 10.0.0.5/32 scram-sha-256',
        f'hostssl "shop_production_db" {logins} fd00::5/128 scram-sha-256',
        f"local all {logins} reject",
        f"host all {logins} all reject",
    ]


def test_the_administrators_lines_stay_as_they_are() -> None:
    """Ours come before them, and go again; those of several projects stand together, in one order."""
    theirs = "# mine\nlocal all postgres peer\n"
    rules = postgresql.rules([SHOP, BLOG])
    assert rules == postgresql.rules([BLOG, SHOP])
    with_ours = postgresql.with_block(theirs, rules)
    assert with_ours.endswith(postgresql.END + theirs)
    assert postgresql.with_block(with_ours, rules) == with_ours
    moved = "# above\n" + with_ours
    assert postgresql.with_block(moved, rules).endswith("# above\n" + theirs)
    assert postgresql.with_block(with_ours, "") == theirs


def test_names_and_texts_are_quoted() -> None:
    """Names of release.toml have none of these characters; this does not rely on it."""
    assert postgresql.identifier('a"; DROP ROLE b') == '"a""; DROP ROLE b"'
    assert postgresql.literal("a'b\\") == "E'a''b\\\\'"
    assert postgresql.literal("shop") == "'shop'"


def test_the_url_asks_for_tls() -> None:
    """IPv6 has brackets there."""
    there = SHOP.with_(host="fd00::4", port=5432)
    assert postgresql.url(there, "a") == (
        "postgresql://shop_production_db__a:x@[fd00::4]:5432/shop_production_db?sslmode=require"
    )


def test_a_removal_takes_what_restores_have_left_and_grants_of_others() -> None:
    """Each of these would keep a role, and the removal would end halfway."""
    text = postgresql.removal(SHOP)
    for end in ("", "__n", "__o"):
        assert f'DROP DATABASE IF EXISTS "shop_production_db{end}" WITH (FORCE);' in text
    assert text.index("DROP OWNED BY") < text.index("DROP ROLE IF EXISTS")
