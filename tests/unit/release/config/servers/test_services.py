"""The promises of release.config.servers.services, and of [addresses]."""

from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.config import release_toml
from release.config.servers import services

DB = '[services.db]\nkind = "postgresql"\nhosts = ["db1"]\n'
USER = '[targets.production]\nhosts = ["web1"]\nservices = ["db"]\n'


def load(folder: Path, text: str) -> release_toml.ReleaseConfig:
    (folder / "release.toml").write_text(f'app = "shop"\n{text}')
    return release_toml.load(folder)


def test_three_lines_declare_a_database(tmp_path: Path) -> None:
    """As short as the command elsewhere: all else has a default."""
    config = load(tmp_path, DB + USER)
    assert config.services["db"].backup == services.BackupSettings(at="daily", keep=7, copy_to=None)
    assert config.target("production").services == ["db"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (DB.replace("db]", "production]") + USER, "services.production: production is a target"),
        (DB.replace("db]", "local]"), "services.local: local is something else"),
        (DB.replace("db]", "mirror]"), "services.mirror: mirror is something else"),
        (DB.replace("db]", '"DROP;--"]'), "services.DROP;--: "),
        (DB.replace("db]", '"a\'b"]'), "services.a'b"),
        (USER, "targets.production.services: there is no [services.db]; declared: none"),
        (DB + USER.replace('"db"', '"cache"'), "there is no [services.cache]; declared: db"),
        (DB + USER.replace('"db"', '"db", "db"'), "targets.production.services: db is listed twice"),
        (DB + USER.replace('hosts = ["web1"]\n', ""), "targets.production: services: only named hosts"),
        (DB + '[targets.local]\nservices = ["db"]\n', "targets.local: services: only named hosts"),
        (DB.replace('"db1"', '"db1", "db2"'), "services.db.hosts: list should have at most 1 item"),
        (DB.replace('"db1"', ""), "services.db.hosts: list should have at least 1 item"),
        (DB.replace('"db1"', '"-oProxyCommand=x"'), "services.db.hosts.0:"),
        (DB.replace("postgresql", "oracle"), "services.db.kind: input should be 'postgresql'"),
        (f'{DB}version = "latest"\n', "services.db.version:"),
        (f'{DB}version = "9.6"\n', 'version: "9.6" is no version of postgresql, such as "15"'),
        (DB.replace("postgresql", "redis") + 'version = "15"\n', 'no version of redis, such as "7.0"'),
        (DB.replace("postgresql", "mariadb") + 'version = "10"\n', "no version of mariadb"),
        (f'{DB}backup.copy_to = "db1"\n', "services.db: backup.copy_to: db1 has the database itself"),
        (f"{DB}backup.keep = 0\n", "services.db.backup.keep:"),
        (f'{DB}backup.at = "daily; rm"\n', "services.db.backup.at:"),
        (f'{DB}backup.hourly = "x"\n', "services.db.backup.hourly: unknown key"),
        (
            f'{DB}[addresses]\ndb1 = "db1.example.com"\n',
            'addresses.db1.0: "db1.example.com" is no IP address',
        ),
        (f'{DB}[addresses]\ndb1 = "127.0.0.1"\n', "127.0.0.1 means another host to each host"),
        (f'{DB}[addresses]\ndb1 = "fe80::1%eth0"\n', "means another host to each host"),
        (f'{DB}[addresses]\ndb1 = "0.0.0.0"\n', "is no address of a host"),
        (f'{DB}[addresses]\ndb1 = "::ffff:10.0.0.5"\n', "is no address of a host"),
        (f'{DB}[addresses]\ndb1 = ["10.0.0.5", "10.0.0.5"]\n', "10.0.0.5 is listed twice"),
        (f"{DB}[addresses]\ndb1 = []\n", "addresses.db1: list should have at least 1 item"),
        (f'{DB}[addresses]\ndb1.example.com = "10.0.0.5"\n', "names with dots need quotes"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """Before a host is touched, with the place in the file and what to do."""
    with pytest.raises(PackhorseError) as caught:
        load(tmp_path, text)
    assert message in caught.value.message
    assert "\n" not in caught.value.message


def test_a_name_that_a_database_would_cut_is_refused(tmp_path: Path) -> None:
    """PostgreSQL cuts at 63 bytes in silence: two targets could share what it makes of their names."""
    target = USER.replace("production", "p" * 40)
    longest = f"shop_{'p' * 40}_{'d' * 14}"
    assert services.database("shop", "p" * 40, "d" * 14) == longest
    assert len(longest) == 60
    load(tmp_path, (DB + target).replace("db]", f"{'d' * 14}]").replace('"db"', f'"{"d" * 14}"'))
    with pytest.raises(PackhorseError, match="longer than 60 characters"):
        load(tmp_path, (DB + target).replace("db]", f"{'d' * 15}]").replace('"db"', f'"{"d" * 15}"'))


def test_an_address_has_one_form(tmp_path: Path) -> None:
    """Rules of several programs are made of it, and compared with what is there."""
    text = '[addresses]\nweb1 = "10.0.0.5"\n"web2.example.com" = ["fd00::0:5", "10.0.0.6"]\n'
    assert load(tmp_path, text).addresses == {
        "web1": ["10.0.0.5"],
        "web2.example.com": ["fd00::5", "10.0.0.6"],
    }
