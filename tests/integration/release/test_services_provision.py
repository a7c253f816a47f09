"""`release provision` brings databases, balancer, firewall, monitoring and updates from one release.toml."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support import hosts
from tests.support.hosts import base_image, fleet, ports
from tests.support.hosts.bare_servers import changed, recap
from tests.support.hosts.fleet import SERVICES, ArgumentLists, Client, Fleet
from tests.support.hosts.host import ENVIRONMENT
from tests.support.servers import run_command, wait_until
from tests.support.tiny_app import app_wheel

pytestmark = [*hosts.MARKS, pytest.mark.needs("nft")]

HBA = "etc/postgresql/15/main/pg_hba.conf"
VARIABLES = {"db": "DATABASE_URL", "my": "MY_URL", "cache": "REDIS_URL"}
CLIENTS = ("postgresql-client-15", "mariadb-client", "redis-tools")


@pytest.fixture(scope="module")
def bare() -> Iterator[Fleet]:
    with fleet.bare_fleet() as made:
        yield made


@dataclass(frozen=True)
class Provisioned:
    """What was seen while the hosts of the application tiny were prepared."""

    fleet: Fleet
    said: str
    arguments: set[bytes]

    @property
    def urls(self) -> dict[str, str]:
        return {name: self.fleet.url(f"tiny_production_{name}") for name in SERVICES}


@pytest.fixture(scope="module")
def shop(bare: Fleet) -> Provisioned:
    with ArgumentLists() as arguments:
        said = bare.provision(bare.shop(), "--diff", "-v")
    return Provisioned(bare, said, arguments.seen)


@pytest.fixture(scope="module")
def deployed(shop: Provisioned) -> Fleet:
    """With the application, which was attached to its databases before."""
    made = shop.fleet
    for host in (made.web1, made.web2):
        host.ssh("apt-get", "install", "--yes", *CLIENTS)
    made.upload(made.shop(), app_wheel("0.1.0"))
    for name, variable in VARIABLES.items():
        made.release(made.shop(), "services", "attach", name, "production", "--as", variable)
    made.release(made.shop(), "deploy", "production", "tiny==0.1.0")
    return made


@pytest.fixture(scope="module")
def blog(shop: Provisioned) -> Provisioned:
    """A second application on the same host of databases, which itself is on lb1."""
    project = shop.fleet.project("blog", [shop.fleet.lb1])
    return Provisioned(shop.fleet, shop.fleet.provision(project, "--limit", "db1"), set())


def test_check_mode_on_bare_hosts_says_what_would_come_and_changes_nothing(bare: Fleet) -> None:
    """Packages, databases, ports, updates: the first thing that a careful administrator tries."""
    made = {"lb1": bare.lb1, "web1": bare.web1, "web2": bare.web2, "db1": bare.db1}
    before = {name: changed(host) for name, host in made.items()}
    said = bare.provision(bare.shop(), "--check", "--diff")
    assert {name: changed(host) for name, host in made.items()} == before
    assert {name for name, number in recap(said).items() if number > 5} == set(made)
    for host in made.values():
        rules = ("ip", "netns", "exec", host._unit, "nft", "list", "ruleset")
        assert run_command(*rules, env=ENVIRONMENT).stdout == ""
    for package in ("postgresql-15", "mariadb-server", "redis-server"):
        assert package in said
    clients = f"{bare.web1.address}, {bare.web2.address}"
    for name, kind in SERVICES.items():
        assert f"{kind} tiny_production_{name} for {clients}, at {bare.db1.address}" in said
    assert '+            "port": "6379-6878",' in said
    assert '+APT::Periodic::Unattended-Upgrade "1";' in said
    assert bare.net.address in said, "who may ask what measures"


PORTS = {22, 80, 443, 3306, 5432, 6379, 9100}
HTTP, DATABASES = {80, 443}, {3306, 5432, 6379}
# From a host: what is open of lb1, of web1, of db1.
OPEN = {
    "outside": ({22, 9100} | HTTP, {22, 9100}, {22, 9100}),
    "db2": ({22} | HTTP, {22}, {22}),
    "lb1": (PORTS, {22} | HTTP, {22}),
    "web1": ({22} | HTTP, PORTS, {22} | DATABASES),
    "web2": ({22} | HTTP, {22}, {22} | DATABASES),
    "db1": ({22} | HTTP, {22}, PORTS),
}


def test_a_table_of_ports_probed_from_outside_and_from_each_host(shop: Provisioned) -> None:
    """Clients reach the balancer, that the servers, these the databases; who measures reaches all."""
    made, there = shop.fleet, (shop.fleet.lb1, shop.fleet.web1, shop.fleet.db1)
    for host in there:
        ports.listen(host, PORTS)
    addresses = [host.address for host in there]

    def probed(client: str) -> tuple[set[int], ...]:
        # The rules of [monitoring] answer nothing where those of [firewall] refuse.
        return tuple(ports.open_to(made.net.members.get(client), addresses, PORTS, silent={9100}))

    with ThreadPoolExecutor() as pool:
        found = dict(zip(OPEN, pool.map(probed, OPEN), strict=True))
    assert found == OPEN


def test_the_application_answers_through_the_balancer_from_all_its_databases(deployed: Fleet) -> None:
    """On both servers, with the URLs that `release services attach` has put into its configuration."""
    logs = [host.files / "var/log/nginx/packhorse/tiny.access.log" for host in (deployed.web1, deployed.web2)]

    def both_have_answered() -> bool:
        assert json.loads(deployed.get("/databases")) == dict.fromkeys(VARIABLES.values(), "in")
        return all("GET /databases " in log.read_text() for log in logs)

    wait_until("an answer of each", both_have_answered)
    shop = deployed.shop()
    wait_until(
        "both to be in",
        lambda: "lb1: web1 is in, web2 is in" in deployed.release(shop, "status", "production"),
    )


def test_the_application_s_hosts_get_in_with_the_urls_and_no_other_host(shop: Provisioned) -> None:
    """Not even with the password; nor does another local user of the host of the databases."""
    for url in shop.urls.values():
        assert shop.fleet.is_in(shop.fleet.web1, url), shop.fleet.ask(shop.fleet.web1, url)
        assert not shop.fleet.is_in(shop.fleet.lb1, url), url
    servers, urls = shop.fleet, shop.urls
    plain = urls["db"].replace("sslmode=require", "")
    assert "no encryption" in servers.ask(servers.web1, plain).stderr
    for command in (
        ("psql", "-h", "/var/run/postgresql", "tiny_production_db"),
        ("mariadb", "tiny_production_my"),
        ("redis-cli", "-p", str(urlsplit(urls["cache"]).port), "GET", "x"),
        ("cat", "/etc/packhorse/services/tiny_production_db/state.json"),
        ("cat", "/etc/packhorse/redis/tiny_production_cache.conf"),
    ):
        done = servers.db1.ssh("runuser", "-u", "nobody", "--", *command, status=None)
        assert re.search("denied|NOAUTH|does not exist", done.stderr + done.stdout), (command, done)
    said = [line.split()[3].rpartition(":") for line in servers.db1.ssh("ss", "-Hltn").stdout.splitlines()]
    listening = {address for address, _, port in said if int(port) in DATABASES}
    assert listening <= {"127.0.0.1", "[::1]", servers.db1.address}


def test_what_a_login_makes_belongs_to_the_owner_and_outlives_it(shop: Provisioned) -> None:
    """So that the next login, after a rotation, can change it."""
    servers, url = shop.fleet, shop.urls["db"]
    assert servers.ask(servers.web1, url, "CREATE TABLE made (x int)").stderr == ""
    owner = servers.ask(servers.web1, url, "SELECT tableowner FROM pg_tables WHERE tablename = 'made'")
    assert owner.stdout.strip() == "tiny_production_db"
    refused = servers.ask(servers.web1, url.replace("/tiny_production_db?", "/postgres?"))
    assert "pg_hba.conf rejects" in refused.stderr
    for forbidden in ("SHUTDOWN", "CONFIG SET dir /tmp", "ACL LIST", "BGSAVE"):
        assert "NOPERM" in servers.ask(servers.web1, shop.urls["cache"], forbidden).stdout


def test_passwords_are_in_no_argument_list_log_or_output(shop: Provisioned) -> None:
    """Looked for while everything was made, with servers that log every statement of a rotation."""
    servers = shop.fleet
    servers.db1.ssh("su", "postgres", "-c", "psql -c \"ALTER SYSTEM SET log_statement = 'all'\"")
    servers.db1.ssh("su", "postgres", "-c", "psql -c 'SELECT pg_reload_conf()'")
    general = "SET GLOBAL general_log_file = '/var/lib/mysql/all.log'; SET GLOBAL general_log = 1"
    servers.db1.ssh("mariadb", "-e", general)
    secrets = {urlsplit(url).password or "" for url in shop.urls.values()}
    with ArgumentLists() as arguments:
        for name in SERVICES:
            database = f"tiny_production_{name}"
            rotated = servers.service("rotate", database)["next"]
            assert isinstance(rotated, dict)
            secrets.add(urlsplit(rotated["url"]).password or "")
            assert servers.is_in(servers.web1, rotated["url"])
            servers.service("rotate-finish", database)
    servers.db1.ssh("su", "postgres", "-c", "psql -c 'ALTER SYSTEM RESET log_statement'")
    servers.db1.ssh("mariadb", "-e", "SET GLOBAL general_log = 0")
    seen = b"\n".join(shop.arguments | arguments.seen)
    assert b"packhorse-service" in seen  # it looked at the right time
    logs = servers.db1.ssh(
        "sh", "-c", "journalctl --no-pager; cat /var/log/postgresql/* /var/lib/mysql/all.log"
    )
    assert "ALTER ROLE" in logs.stdout
    assert "ALTER USER" in logs.stdout
    assert len(secrets) == 6
    for secret in secrets:
        assert len(secret) == 43
        assert secret.encode() not in seen
        assert secret not in shop.said
        assert secret not in logs.stdout
        found = servers.db1.ssh("grep", "-rlF", "--", secret, "/etc", "/var/log", "/run", "/tmp", status=None)
        assert set(found.stdout.split()) <= {
            f"/etc/packhorse/services/tiny_production_{name}/state.json" for name in SERVICES
        }


def test_a_second_application_on_the_host_leaves_the_first_as_it_is(blog: Provisioned) -> None:
    """Its rules stand beside the first one's, its instance of Redis listens at the next port."""
    servers, first = blog.fleet, blog.urls
    for name, url in first.items():
        own = servers.url(f"blog_production_{name}")
        assert servers.is_in(servers.web1, url)
        assert servers.is_in(servers.lb1, own)
        assert not servers.is_in(servers.web1, own)
        assert not servers.is_in(servers.lb1, url)
    assert "Next, where its URL is not set yet: release services attach db production" in blog.said


@pytest.mark.parametrize("name", SERVICES)
def test_credentials_rotate_under_load_without_a_failed_query(shop: Provisioned, name: str) -> None:
    """The old login is open until the configuration has the new one; then nobody gets in with it."""
    servers, database = shop.fleet, f"tiny_production_{name}"
    old = servers.url(database)
    with Client(servers, old) as client:
        client.asks_again()
        following = servers.service("rotate", database)["next"]
        assert isinstance(following, dict)
        assert servers.service("rotate", database)["next"] == following
        client.asks_again()
        client.url = following["url"]
        client.asks_again()
        finished = servers.service("rotate-finish", database)
        client.asks_again()
    assert client.failed == ""
    assert finished["closed"] == urlsplit(old).username
    assert not servers.is_in(servers.web1, old)
    assert servers.url(database) == following["url"]
    assert servers.service("rotate-finish", database)["changed"] is False


def test_names_links_and_requests_that_are_hostile_are_refused(shop: Provisioned) -> None:
    """The program trusts neither what it is asked nor what lies where its files should."""
    servers = shop.fleet
    for name in (
        'a_b_c"; DROP ROLE postgres; --',
        "../../../tmp_a_b",
        "a_b_c\nlocal all all trust",
        "",
        "x" * 99,
    ):
        answer = servers.service("apply", name, 1, kind="postgresql", clients=[], listen=[], host="127.0.0.1")
        assert "is no APP_TARGET_SERVICE" in str(answer["error"])
    for clients in (["all"], ["0.0.0.0/0"], ["10.0.0.1 trust\n"], "10.0.0.1"):
        answer = servers.service(
            "apply", "a_b_c", 1, kind="postgresql", clients=clients, listen=[], host="127.0.0.1"
        )
        assert "Look into release.toml." in str(answer["hint"])
    before = (servers.db1.files / HBA).read_bytes()
    state = servers.db1.files / "etc/packhorse/services/tiny_production_db/state.json"
    kept = state.read_bytes()
    state.unlink()
    state.symlink_to("/etc/passwd")
    try:
        answer = servers.service("credentials", "tiny_production_db", 1)
        assert "cannot be read" in str(answer["error"])
    finally:
        state.unlink()
        state.write_bytes(kept)
        state.chmod(0o600)
    # postgres is a user like others: root follows no link of its, reads no pipe, and writes as that user.
    hba = "/etc/postgresql/15/main/pg_hba.conf"
    servers.db1.ssh("su", "postgres", "-c", f"mv {hba} {hba}.kept; ln -s /etc/shadow {hba}")
    answer = servers.service("rotate", "tiny_production_db", 1)
    assert "Permission denied" in str(answer["error"])
    servers.db1.ssh("su", "postgres", "-c", f"mv {hba}.kept {hba}")
    servers.service("rotate-finish", "tiny_production_db")
    assert (servers.db1.files / HBA).read_bytes() == before


def test_an_upgrade_of_the_minor_version_keeps_everything(shop: Provisioned, tmp_path: Path) -> None:
    """As Debian's security updates do: logins, rules, data."""
    servers = shop.fleet
    url = servers.url("tiny_production_db")
    servers.ask(servers.web1, url, "CREATE TABLE IF NOT EXISTS kept AS SELECT generate_series(1, 1000) AS x")
    (package,) = (servers.db1.files / base_image.ARCHIVE[1:]).glob("postgresql-15_*.deb")
    run_command("dpkg-deb", "-R", package, tmp_path / "package", env=ENVIRONMENT)
    control = tmp_path / "package/DEBIAN/control"
    control.write_text(re.sub(r"(?m)^Version: (\S+)$", r"Version: \1+later", control.read_text()))
    archive = servers.db1.files / "srv/later"
    archive.mkdir()
    later = archive / f"postgresql-15_later_{package.stem.rpartition('_')[2]}.deb"
    run_command("dpkg-deb", "-Znone", "-b", tmp_path / "package", later, env=ENVIRONMENT)
    base_image.index_archive(archive)
    (servers.db1.files / "etc/apt/sources.list.d/later.list").write_text(
        "deb [trusted=yes] file:/srv/later ./\n"
    )
    servers.db1.ssh("apt-get", "update")
    upgrade = "DEBIAN_FRONTEND=noninteractive apt-get upgrade --yes"
    assert "postgresql-15" in servers.db1.ssh("sh", "-c", upgrade, timeout=300).stdout
    assert "+later" in servers.db1.ssh("dpkg-query", "-W", "-f=${Version}", "postgresql-15").stdout
    assert servers.ask(servers.web1, url, "SELECT sum(x) FROM kept").stdout.strip() == "500500"


@pytest.mark.usefixtures("deployed", "blog")
def test_another_run_changes_nothing_on_any_host(shop: Provisioned) -> None:
    """After a deploy, another project on the host of databases, an upgrade there: it may run every night."""
    said = shop.fleet.provision(shop.fleet.shop(), "--diff")
    assert recap(said) == {"lb1": 0, "web1": 0, "web2": 0, "db1": 0}, said


def test_a_server_with_data_is_not_restarted_but_says_so(shop: Provisioned) -> None:
    """Who has it decides when; after the restart it listens at the new address, too."""
    servers, name = shop.fleet, "tiny_production_db"
    found = servers.service("list", name)["services"]
    assert isinstance(found, list)
    known = next(each for each in found if each["name"] == name)
    settings = {key: known[key] for key in ("kind", "clients", "host", "backup")}
    more = {**settings, "listen": [servers.db1.address, "127.0.0.2"]}
    pid = servers.db1.ssh("cat", "/run/postgresql/15-main.pid").stdout
    assert "systemctl restart postgresql@15-main" in str(servers.service("apply", name, **more)["restart"])
    assert servers.db1.ssh("cat", "/run/postgresql/15-main.pid").stdout == pid
    servers.db1.ssh("systemctl", "restart", "postgresql@15-main")
    assert servers.service("apply", name, **more)["restart"] == ""
    assert servers.is_in(servers.web1, servers.url(name))
    assert servers.service("apply", name, **settings, listen=[servers.db1.address])["restart"] == ""


FILL = {
    "db": "CREATE TABLE t AS SELECT n, sha256(n::text::bytea) AS data FROM generate_series(1, 3000) n;",
    "my": "CREATE TABLE t (id int PRIMARY KEY, text longtext); CREATE VIEW v AS SELECT max(id) AS top FROM t;"
    " CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.text = upper(NEW.text);"
    " CREATE FUNCTION f() RETURNS int DETERMINISTIC RETURN 3;"
    r" INSERT INTO t SELECT seq, CONCAT('row ', seq, '\n') FROM seq_1_to_300;",
    "cache": "".join(f"SET key:{number} value{number}\n" for number in range(100))
    + "SET soon x EX 3000\nHSET hash a 1 b 2\nRPUSH list x y x\nZADD sorted 1.5 a 2 b\nSADD set a\n",
}
KEYS = [*(f"key:{number}" for number in range(100)), "soon", "hash", "list", "sorted", "set"]
# Each row, and of each key its content in Redis's own form, and when it ends.
LOOK = {
    "db": "SELECT * FROM t ORDER BY n;",
    "my": "SELECT id, hex(text) FROM t ORDER BY id; SELECT top, f() FROM v;",
    "cache": "DBSIZE\n" + "".join(f"DUMP {key}\nPEXPIRETIME {key}\n" for key in KEYS),
}
CHANGE = {
    "db": "DROP TABLE t;",
    "my": "DELETE FROM t; DROP FUNCTION f; CREATE FUNCTION f() RETURNS int DETERMINISTIC RETURN 4;",
    "cache": "FLUSHALL\nSET other 1\n",
}


@pytest.fixture(scope="module")
def filled(deployed: Fleet) -> dict[str, str]:
    """What the databases of the application have: every row and key."""
    for name, variable in VARIABLES.items():  # other tests have closed its logins
        deployed.release(deployed.shop(), "services", "attach", name, "production", "--as", variable)
    fleet.answers(deployed, FILL)
    found = fleet.answers(deployed, LOOK)
    assert [len(text.splitlines()) > 100 for text in found.values()] == [True] * 3
    return found


def test_each_kind_comes_back_with_every_row_and_key(deployed: Fleet, filled: dict[str, str]) -> None:
    """With views, triggers and routines; with times to live. (PostgreSQL has more in test_services.py.)"""
    for name in ("my", "cache"):
        deployed.release(deployed.shop(), "services", "backup", name)
        fleet.answers(deployed, {name: CHANGE[name]})
        assert fleet.answers(deployed, {name: LOOK[name]})[name] != filled[name]
        restore = ("services", "restore", name, "production", "--yes")
        deployed.release(deployed.shop(), *restore)
        deployed.release(deployed.shop(), *restore, "--drop-old")
    assert fleet.answers(deployed, LOOK) == filled


def test_their_host_is_lost_and_another_one_has_every_row_and_key(
    deployed: Fleet, filled: dict[str, str]
) -> None:
    """From the copies on lb1, which who took the first host over could not remove."""
    for name in SERVICES:
        deployed.release(deployed.shop(), "services", "backup", name)
    deployed.db1.power_cut()
    try:
        assert "its host does not answer" in deployed.release(deployed.shop(), "services", status=None)
        project = deployed.shop(databases="db2")
        deployed.provision(project, "--limit", "db2")
        for name, variable in VARIABLES.items():
            restore = ("services", "restore", name, "production", "--yes")
            assert "--from db1" in deployed.release(project, *restore, status=1)
            said = deployed.release(project, *restore, "--from", "db1")
            assert "from lb1, a copy of db1" in said
            deployed.release(project, "services", "attach", name, "production", "--as", variable)
        assert fleet.answers(deployed, LOOK) == filled
        assert json.loads(deployed.get("/databases")) == dict.fromkeys(VARIABLES.values(), "in")
    finally:
        deployed.db1.boot()
    fleet.answers(deployed, {"my": "INSERT INTO t VALUES (999, 'abc');"})
    assert "ABC" in fleet.answers(deployed, {"my": "SELECT text FROM t WHERE id = 999;"})["my"]
    what_is_left_over_is_removed_after_a_backup(deployed, project)


def what_is_left_over_is_removed_after_a_backup(servers: Fleet, project: Path) -> None:
    """Data is never removed without one; what is declared is refused; what is of others stays."""
    plan = ("services", "--plan", "--host", "db1")
    said = servers.release(project, *plan)
    for name, kind in SERVICES.items():
        assert f"db1: tiny_production_{name} ({kind}) is not in release.toml, and kept." in said
        remove = ("services", "remove", name, "production", "--host", "db1", "--yes")
        done = servers.release(project, *remove)
        assert f"Removed tiny_production_{name} on db1." in done
        path = done.partition("Backup: db1:")[2].partition("\n")[0]
        assert path.startswith(f"/var/backups/packhorse-services/tiny_production_{name}/")
        assert (servers.db1.files / path[1:]).stat().st_size > 100
        assert "nothing to do" in servers.release(project, *remove)
    assert "still declares" in servers.release(project, "services", "remove", "db", "--yes", status=1)
    assert servers.release(project, *plan).startswith("Nothing:")
    psql = ("runuser", "-u", "postgres", "--", "psql", "-Atc")
    left = servers.db1.ssh(*psql, "SELECT datname FROM pg_database UNION SELECT rolname FROM pg_roles").stdout
    assert "tiny" not in left
    assert "blog_production_db" in left
    timers = servers.db1.ssh("systemctl", "list-timers", "--all").stdout
    assert ("backup@tiny" in timers, "backup@blog" in timers) == (False, True)
