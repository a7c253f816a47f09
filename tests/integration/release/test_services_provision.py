"""`release provision` brings databases: PostgreSQL, MariaDB and Redis for their applications' hosts alone."""

import json
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import pytest

from tests.support import hosts
from tests.support.hosts import base_image
from tests.support.hosts.bare_servers import changed
from tests.support.hosts.host import ENVIRONMENT
from tests.support.servers import BIN, run_command

pytestmark = hosts.MARKS

SERVICES = {"db": "postgresql", "my": "mariadb", "cache": "redis"}
PROGRAM = "/usr/local/sbin/packhorse-service"
HBA = "etc/postgresql/15/main/pg_hba.conf"
# What a client asks, and how it says that it is in.
QUESTION = {"postgresql": "SELECT 'in'", "mariadb": "SELECT 'in'", "redis": "PING in"}


@dataclass(frozen=True)
class Servers:
    """db1 with all databases, web1 for the application shop, web2 for the application blog."""

    net: hosts.Network
    home: Path
    db1: hosts.Host
    web1: hosts.Host
    web2: hosts.Host

    def project(self, app: str, web: str) -> Path:
        """A project on the host `web`, whose databases are on db1."""
        folder = self.home / app
        folder.mkdir(exist_ok=True)
        tables = "".join(
            f'[services.{name}]\nkind = "{kind}"\nhosts = ["db1"]\nuser = "root"\n'
            for name, kind in SERVICES.items()
        )
        (folder / "release.toml").write_text(
            f'app = "{app}"\nindex = "https://pypi.example.com/company/prod"\n{tables}'
            f'[targets.production]\nhosts = ["{web}"]\nservices = {json.dumps(list(SERVICES))}\n'
            '[targets.production.provision]\nuser = "root"\n'
        )
        return folder

    def provision(self, project: Path, *options: str, status: int = 0) -> str:
        """Prepare the hosts of the databases of `project`; what it says."""
        environment = self.net.environment(self.home)
        command = [str(BIN / "release"), "-C", str(project), "provision", "production", *options]
        done = run_command(*command, env=environment, status=status, timeout=900)
        return done.stdout + done.stderr

    def service(self, command: str, name: str, status: int = 0, **more: object) -> dict[str, object]:
        """Run packhorse-service on db1, as `release services` does."""
        asked = json.dumps({"name": name, **more})
        ssh = [str(self.net.bin / "ssh"), "root@db1", "--", PROGRAM, command]
        done = subprocess.run(ssh, input=asked, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        answer: dict[str, object] = json.loads(done.stdout)
        return answer

    def url(self, name: str) -> str:
        """The URL that the configuration of an application gets."""
        return str(self.service("credentials", name)["url"])

    def ask(self, host: hosts.Host, url: str, question: str = "") -> subprocess.CompletedProcess[str]:
        """Ask a database from `host`, with the clients that lie on db1; the answer is in stdout."""
        parts = urlsplit(url)
        kind = {"mysql": "mariadb"}.get(parts.scheme, parts.scheme)
        question = question or QUESTION[kind]
        # Passwords in the environment, as those that tests look for are in no argument list.
        secret = {"PGPASSWORD": parts.password, "MYSQL_PWD": parts.password, "REDISCLI_AUTH": parts.password}
        place = ("-h", parts.hostname or "", "-p", str(parts.port))
        tls = "require" if "sslmode=require" in parts.query else "disable"
        database, user = parts.path[1:], parts.username or ""
        command: dict[str, list[str]] = {
            "postgresql": ["psql", "-XAtq", *place, "-U", user, "-d", database, "-c", question],
            "mariadb": [
                "mariadb",
                "-BN",
                "--ssl",
                *place[:2],
                "-P",
                place[3],
                "-u",
                user,
                "-e",
                question,
                database,
            ],
            "redis": ["redis-cli", *place, "--user", user, "--no-auth-warning", *question.split()],
        }
        there = ["ip", "netns", "exec", host._unit, "chroot", str(self.db1.files), *command[kind]]
        environment = {**ENVIRONMENT, **{key: value or "" for key, value in secret.items()}, "PGSSLMODE": tls}
        environment["PGCONNECT_TIMEOUT"] = "10"
        return run_command(*there, env=environment, status=None, timeout=30)

    def is_in(self, host: hosts.Host, url: str) -> bool:
        """Whether `host` gets in with `url`."""
        return self.ask(host, url).stdout.strip() == "in"


class ArgumentLists:
    """The argument lists of all processes of this machine and its hosts while the block runs."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._stop.is_set():
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    self.seen.add((process / "cmdline").read_bytes())
                except OSError:
                    continue
            time.sleep(0.01)  # the machine has other work

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with hosts.network() as net:
        db1, web1, web2 = net.hosts("db1", "web1", "web2")
        yield Servers(net, tmp_path_factory.mktemp("home"), db1, web1, web2)


@dataclass(frozen=True)
class Provisioned:
    """What was seen while the databases of shop came."""

    servers: Servers
    said: str
    arguments: set[bytes]

    @property
    def urls(self) -> dict[str, str]:
        return {name: self.servers.url(f"shop_production_{name}") for name in SERVICES}


@pytest.fixture(scope="module")
def shop(bare: Servers) -> Provisioned:
    with ArgumentLists() as arguments:
        said = bare.provision(bare.project("shop", "web1"), "--limit", "db1", "--diff", "-v")
    return Provisioned(bare, said, arguments.seen)


@pytest.fixture(scope="module")
def blog(shop: Provisioned) -> Provisioned:
    """A second application on the same host of databases."""
    said = shop.servers.provision(shop.servers.project("blog", "web2"), "--limit", "db1")
    return Provisioned(shop.servers, said, set())


def test_check_mode_on_a_bare_host_says_what_would_come_and_changes_nothing(bare: Servers) -> None:
    """The packages, the databases, and who would be let in."""
    before = changed(bare.db1)
    said = bare.provision(bare.project("shop", "web1"), "--limit", "db1", "--check", "--diff")
    assert changed(bare.db1) == before
    for package in ("postgresql-15", "mariadb-server", "redis-server"):
        assert package in said
    for name, kind in SERVICES.items():
        assert f"{kind} shop_production_{name} for {bare.web1.address}, at {bare.db1.address}" in said


def test_the_application_s_hosts_get_in_with_the_urls_and_no_other_host(shop: Provisioned) -> None:
    """Not even with the password; nor does another local user of the host of the databases."""
    for url in shop.urls.values():
        assert shop.servers.is_in(shop.servers.web1, url), shop.servers.ask(shop.servers.web1, url)
        assert not shop.servers.is_in(shop.servers.web2, url), url
    servers, urls = shop.servers, shop.urls
    plain = urls["db"].replace("sslmode=require", "")
    assert "no encryption" in servers.ask(servers.web1, plain).stderr
    for command in (
        ("psql", "-h", "/var/run/postgresql", "shop_production_db"),
        ("mariadb", "shop_production_my"),
        ("redis-cli", "-p", str(urlsplit(urls["cache"]).port), "GET", "x"),
        ("cat", "/etc/packhorse/services/shop_production_db/state.json"),
        ("cat", "/etc/packhorse/redis/shop_production_cache.conf"),
    ):
        done = servers.db1.ssh("runuser", "-u", "nobody", "--", *command, status=None)
        assert re.search("denied|NOAUTH|does not exist", done.stderr + done.stdout), (command, done)
    said = servers.db1.ssh("ss", "-Hltn").stdout
    listening = {line.split()[3].rpartition(":")[0] for line in said.splitlines() if ":22" not in line}
    assert listening <= {"127.0.0.1", "[::1]", servers.db1.address, "0.0.0.0", "[::]"}
    assert not re.search(r"(0\.0\.0\.0|\[::\]|\*):(5432|3306|6379)", said)


def test_what_a_login_makes_belongs_to_the_owner_and_outlives_it(shop: Provisioned) -> None:
    """So that the next login, after a rotation, can change it."""
    servers, url = shop.servers, shop.urls["db"]
    assert servers.ask(servers.web1, url, "CREATE TABLE made (x int)").stderr == ""
    owner = servers.ask(servers.web1, url, "SELECT tableowner FROM pg_tables WHERE tablename = 'made'")
    assert owner.stdout.strip() == "shop_production_db"
    refused = servers.ask(servers.web1, url.replace("/shop_production_db?", "/postgres?"))
    assert "pg_hba.conf rejects" in refused.stderr
    for forbidden in ("SHUTDOWN", "CONFIG SET dir /tmp", "ACL LIST", "BGSAVE"):
        assert "NOPERM" in servers.ask(servers.web1, shop.urls["cache"], forbidden).stdout


def test_passwords_are_in_no_argument_list_log_or_output(shop: Provisioned) -> None:
    """Looked for while everything was made, with servers that log every statement of a rotation."""
    servers = shop.servers
    servers.db1.ssh("su", "postgres", "-c", "psql -c \"ALTER SYSTEM SET log_statement = 'all'\"")
    servers.db1.ssh("su", "postgres", "-c", "psql -c 'SELECT pg_reload_conf()'")
    general = "SET GLOBAL general_log_file = '/var/lib/mysql/all.log'; SET GLOBAL general_log = 1"
    servers.db1.ssh("mariadb", "-e", general)
    secrets = {urlsplit(url).password or "" for url in shop.urls.values()}
    with ArgumentLists() as arguments:
        for name in SERVICES:
            database = f"shop_production_{name}"
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
            f"/etc/packhorse/services/shop_production_{name}/state.json" for name in SERVICES
        }


def test_a_second_application_on_the_host_leaves_the_first_as_it_is(blog: Provisioned) -> None:
    """Its rules stand beside the first one's, its instance of Redis listens at the next port."""
    servers, first = blog.servers, blog.urls
    for name, url in first.items():
        own = servers.url(f"blog_production_{name}")
        assert servers.is_in(servers.web1, url)
        assert servers.is_in(servers.web2, own)
        assert not servers.is_in(servers.web1, own)
        assert not servers.is_in(servers.web2, url)
    assert "Next, where its URL is not set yet: release services attach db production" in blog.said
    said = servers.provision(servers.project("shop", "web1"), "--limit", "db1", "--diff")
    assert re.search(r"^db1 .* changed=0 ", said, re.MULTILINE), said


class Client:
    """An application: asks its database again and again with the URL of its configuration, `url`."""

    def __init__(self, servers: Servers, url: str) -> None:
        self.servers, self.url = servers, url
        self.asked, self.failed = 0, ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.is_set():
            done = self.servers.ask(self.servers.web1, self.url)
            self.asked += 1
            if done.stdout.strip() != "in":
                self.failed = done.stdout + done.stderr

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def asks_again(self) -> None:
        """Wait until questions that begin from now on are answered."""
        before = self.asked
        while self.asked < before + 2 and not self.failed:
            time.sleep(0.02)


@pytest.mark.parametrize("name", SERVICES)
def test_credentials_rotate_under_load_without_a_failed_query(shop: Provisioned, name: str) -> None:
    """The old login is open until the configuration has the new one; then nobody gets in with it."""
    servers, database = shop.servers, f"shop_production_{name}"
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
    servers = shop.servers
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
    state = servers.db1.files / "etc/packhorse/services/shop_production_db/state.json"
    kept = state.read_bytes()
    state.unlink()
    state.symlink_to("/etc/passwd")
    try:
        answer = servers.service("credentials", "shop_production_db", 1)
        assert "cannot be read" in str(answer["error"])
    finally:
        state.unlink()
        state.write_bytes(kept)
        state.chmod(0o600)
    # postgres is a user like others: root follows no link of its, reads no pipe, and writes as that user.
    hba = "/etc/postgresql/15/main/pg_hba.conf"
    servers.db1.ssh("su", "postgres", "-c", f"mv {hba} {hba}.kept; ln -s /etc/shadow {hba}")
    answer = servers.service("rotate", "shop_production_db", 1)
    assert "Permission denied" in str(answer["error"])
    servers.db1.ssh("su", "postgres", "-c", f"mv {hba}.kept {hba}")
    servers.service("rotate-finish", "shop_production_db")
    assert (servers.db1.files / HBA).read_bytes() == before


def test_an_upgrade_of_the_minor_version_keeps_everything(shop: Provisioned, tmp_path: Path) -> None:
    """As Debian's security updates do: logins, rules, data; and provisioning has nothing to do after it."""
    servers = shop.servers
    url = servers.url("shop_production_db")
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
    said = servers.provision(servers.project("shop", "web1"), "--limit", "db1")
    assert re.search(r"^db1 .* changed=0 ", said, re.MULTILINE), said


def test_a_server_with_data_is_not_restarted_but_says_so(shop: Provisioned) -> None:
    """Who has it decides when; after the restart it listens at the new address, too."""
    servers, name = shop.servers, "shop_production_db"
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
