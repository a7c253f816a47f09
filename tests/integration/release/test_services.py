"""`release services` on real hosts: attach, rotate under load, back up, bring back, with PostgreSQL."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import documents, hosts, ssh_target
from tests.support.hosts import Host
from tests.support.load_client import over_ssh
from tests.support.servers import BIN, run_command, wait_until
from tests.support.ssh_target import LAYOUT, Servers
from tests.support.tiny_app import NAME, app_wheel

pytestmark = hosts.MARKS

DATABASE = f"{NAME}_production_db"
BACKUPS = f"var/backups/packhorse-services/{DATABASE}"
TABLES = """
CREATE TABLE rows (id serial PRIMARY KEY, text text);
INSERT INTO rows (text) SELECT 'row ' || n FROM generate_series(1, 5000) n;
CREATE SCHEMA "od'd";
CREATE TABLE "od'd"."t ""x" (id int, data bytea);
INSERT INTO "od'd"."t ""x" SELECT n, sha256(n::text::bytea) FROM generate_series(1, 300) n;
CREATE VIEW newest AS SELECT max(id) FROM rows;
CREATE EXTENSION pgcrypto;
CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.text := NEW.text; RETURN NEW; END';
CREATE TRIGGER touch BEFORE UPDATE ON rows FOR EACH ROW EXECUTE FUNCTION touched();
"""
EVERYTHING = 'SELECT * FROM rows ORDER BY id; SELECT * FROM "od\'d"."t ""x" ORDER BY id; TABLE newest;'


@dataclass
class Shop:
    """An application on web1 whose database is on db1, with copies on web1."""

    fleet: Servers
    db1: Host

    @property
    def web1(self) -> Host:
        return self.fleet.hosts[0]

    def services(
        self, *arguments: str, status: int = 0, stdin: str = ""
    ) -> "subprocess.CompletedProcess[str]":
        """What `release services …` does."""
        done = subprocess.run(
            [str(BIN / "release"), "services", *arguments],
            env=self.fleet.environment,
            cwd=self.fleet.project,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done

    def sql(self, text: str, status: int = 0) -> str:
        """What the shell prints for `text`."""
        return self.services("shell", "db", "production", stdin=text, status=status).stdout

    def listed(self) -> dict[str, dict[str, object]]:
        """The databases, by their names."""
        rows = json.loads(self.services("--json").stdout)["services"]
        return {row["database"]: row for row in rows}

    def backups(self) -> list[dict[str, object]]:
        """All backups of the database."""
        rows: list[dict[str, object]] = json.loads(self.services("backups", "db", "--json").stdout)["backups"]
        return rows

    def url(self) -> str:
        """What the application has."""
        return self.fleet.release("config", "get", "production", "DATABASE_URL").stdout.strip()


@pytest.fixture(scope="module")
def bare() -> Iterator[Shop]:
    """With an empty database, which nothing uses yet."""
    with ssh_target.running("web1") as fleet:
        made = Shop(fleet, fleet.net.host("db1"))
        fleet.configure(
            'services = ["db"]\n[targets.production.provision]\nuser = "root"\n'
            '[services.db]\nkind = "postgresql"\nhosts = ["db1"]\nuser = "root"\n'
            '[services.db.backup]\nkeep = 3\ncopy_to = "web1"\n'
        )
        fleet.served.add(NAME, app_wheel("0.3.0"))
        made.web1.ssh("apt-get", "install", "-y", "postgresql-client-15")
        fleet.release("provision", "db")
        yield made


def test_it_says_what_is_there_before_anything_is_attached(bare: Shop) -> None:
    """And what would be made."""
    row = bare.listed()[DATABASE]
    assert (row["host"], row["attached"], row["last_backup"]) == ("db1", [], None)
    assert bare.services("--plan").stdout.startswith("Nothing:")
    assert "none" in bare.services().stdout


@pytest.fixture(scope="module")
def shop(bare: Shop) -> Shop:
    """With TABLES, and an application that was deployed after `attach`."""
    bare.sql(TABLES)
    bare.services("attach", "db", "production")
    bare.fleet.deploy("0.3.0")
    return bare


@pytest.fixture(scope="module")
def fetched(shop: Shop) -> tuple[Path, str]:
    """A backup that came to the developer, and what was said."""
    folder = shop.fleet.home / "fetched"
    said = shop.services("backup", "db", "production", "--fetch", str(folder)).stdout
    (path,) = folder.glob("*.dump")
    return path, said


def test_the_shell_is_the_owners_and_passes_on_input_and_status(shop: Shop) -> None:
    """What is made in it belongs to the application, and nobody is a superuser in it."""
    assert "5000" in shop.sql("SELECT count(*) FROM rows;")
    shell = ("shell", "db", "production")
    said = shop.services(*shell, stdin="SELEC 1;\nSELECT 'further';\n", status=3)
    assert ("ERROR" in said.stderr, said.stdout) == (True, "")
    assert shop.sql("\\q\n") == ""
    assert "must be superuser" in shop.services(*shell, stdin="COPY rows TO '/x';", status=3).stderr


def test_attach_before_the_first_deploy_is_kept_for_it(shop: Shop) -> None:
    """Then the application has its database from the first request on."""
    assert shop.fleet.get(shop.web1, "/rows") == "5000"
    assert shop.listed()[DATABASE]["attached"] == ["DATABASE_URL"]
    again = shop.services("attach", "db", "production").stdout
    assert "ran tiny 0.3.0 (release 1) already" in again
    assert shop.services("url", "db", "production").stdout.strip() == shop.url()


def test_rotation_fails_no_request_and_closes_the_old_login(shop: Shop) -> None:
    """Each request opens a connection of its own, as the worst of applications does."""
    before = shop.url()
    with over_ssh(shop.fleet.hosts, f"{LAYOUT.web}", rate=8, page="/rows") as load:
        shop.services("rotate", "db", "production")
    assert (load.failed, load.sent > 5) == (0, True)
    web1 = shop.web1
    assert shop.url() != before
    assert "authentication failed" in web1.ssh("psql", before, "-c", "SELECT 1", status=2).stderr
    assert shop.fleet.get(web1, "/rows") == "5000"


def killed_when(shop: Shop, text: str, *arguments: str) -> None:
    """`release services …`, killed as soon as it says `text` on stderr; agents end by themselves."""
    command = [str(BIN / "release"), "services", *arguments]
    with subprocess.Popen(
        command,
        env=shop.fleet.environment,
        cwd=shop.fleet.project,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        for line in process.stderr or ():
            if text in line:
                break
        process.kill()
    wait_until("the lock", lambda: shop.fleet.lock_is_free(shop.web1))


def test_a_rotation_that_was_killed_goes_on_where_it_was(shop: Shop) -> None:
    """Neither login is closed too early, and the one that was opened is not forgotten."""
    before, web1 = shop.url(), shop.web1
    web1.ssh("psql", before, "-c", "SET ROLE NONE; CREATE SCHEMA own; CREATE TABLE own.mine (id int);")
    killed_when(shop, "Starting", "rotate", "db", "production")
    assert shop.listed()[DATABASE]["rotating"] is True
    assert "a rotation is to be finished" in shop.services().stdout
    assert web1.ssh("psql", before, "-Atc", "SELECT 1").stdout == "1\n"
    assert shop.fleet.get(web1, "/rows") == "5000"
    shop.services("rotate", "db", "production")
    assert shop.listed()[DATABASE]["rotating"] is False
    assert "authentication failed" in web1.ssh("psql", before, "-c", "SELECT 1", status=2).stderr
    assert shop.fleet.get(web1, "/rows") == "5000"
    dropped = shop.services("shell", "db", "production", stdin="DROP SCHEMA own CASCADE;").stderr
    assert "must be owner" not in dropped  # what a login made as itself went to the owner


def test_the_timers_unit_backs_up_and_copies_and_keeps_the_last(shop: Shop) -> None:
    """Three stay here; the other host keeps all that came."""
    for _ in range(4):
        shop.db1.ssh("systemctl", "start", f"packhorse-service-backup@{DATABASE}.service")
    timers = shop.db1.ssh("systemctl", "list-timers", "--all").stdout
    assert f"packhorse-service-backup@{DATABASE}.timer" in timers
    found = shop.backups()
    here = [row for row in found if row["host"] == "db1"]
    copies = [row for row in found if row["host"] == "web1"]
    assert (len(here), len(copies)) == (3, 4)
    assert all(row["copied"] and row["rows"] == 5300 and row["tables"] == 2 for row in here)
    modes = shop.db1.ssh("find", f"/{BACKUPS}", "-type", "f", "-printf", "%m %u\\n").stdout
    assert set(modes.splitlines()) == {"600 root"}


def test_the_key_for_copies_adds_and_does_nothing_else(shop: Shop) -> None:
    """Who has taken the database's host over has this key."""
    own = ("ssh", "-i", f"/etc/packhorse/backups/{NAME}_db", "-o", "UserKnownHostsFile=/dev/null")
    there = (*own, "-o", "StrictHostKeyChecking=no", f"packhorse-copies@{shop.web1.address}")
    before = len(shop.backups())
    for command in (("rm", "-rf", "/var/backups/packhorse-copies"), ("sh",), ("list",), ()):
        done = shop.db1.ssh("sh", "-c", f"echo x | {' '.join((*there, *command))}", status=1)
        assert "packhorse-copies: that is no backup" in done.stderr
    assert (
        "administratively prohibited"
        in shop.db1.ssh(*there, "-W", "127.0.0.1:22", "-o", "ExitOnForwardFailure=yes", status=None).stderr
    )
    assert len(shop.backups()) == before


def test_a_backup_comes_to_the_developer_as_a_file_of_the_servers_own(fetched: tuple[Path, str]) -> None:
    """For pg_restore on any other server."""
    path, said = fetched
    assert f"Here: {path}" in said
    assert path.stat().st_mode & 0o777 == 0o600
    assert "TABLE public rows" in run_command("pg_restore", "-l", path, env=os.environ).stdout


def test_a_backup_on_a_full_disk_fails_visibly_and_harms_none(shop: Shop) -> None:
    """The unit has failed, and two commands say it."""
    before = shop.db1.ssh("ls", f"/{BACKUPS}").stdout
    shop.db1.ssh("mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", f"/{BACKUPS}")
    try:
        shop.db1.ssh("systemctl", "start", f"packhorse-service-backup@{DATABASE}", status=1)
        assert f"packhorse-service-backup@{DATABASE}" in shop.db1.ssh("systemctl", "--failed").stdout
        assert "BACKUP FAILED" in shop.services().stdout
        assert "No space left" in shop.fleet.release("doctor", "production", status=1).stdout
    finally:
        shop.db1.ssh("umount", f"/{BACKUPS}")
        shop.db1.ssh("systemctl", "reset-failed")
    assert shop.db1.ssh("ls", f"/{BACKUPS}").stdout == before


PLANTED = """
CREATE TABLE won (who text, super bool);
CREATE SCHEMA trap;
CREATE FUNCTION public.note() RETURNS void LANGUAGE sql AS
  'INSERT INTO public.won SELECT current_user, rolsuper FROM pg_roles WHERE rolname = current_user';
CREATE FUNCTION public.count(anyelement) RETURNS bigint LANGUAGE plpgsql AS
  'BEGIN PERFORM public.note(); RETURN 0; END';
CREATE FUNCTION public.format(text, VARIADIC text[]) RETURNS text LANGUAGE plpgsql AS
  'BEGIN PERFORM public.note(); RETURN pg_catalog.format($1, VARIADIC $2); END';
CREATE FUNCTION public.indexed(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
  'BEGIN IF (SELECT rolsuper FROM pg_roles WHERE rolname = session_user) THEN
     ALTER ROLE "%(database)s" SUPERUSER; END IF; RETURN $1; END';
CREATE TABLE trapped (id int);
INSERT INTO trapped VALUES (1);
CREATE INDEX ON trapped (indexed(id));
ALTER DATABASE "%(database)s" SET search_path = public, pg_catalog;
"""


def test_what_an_application_has_planted_runs_with_its_own_rights_alone(shop: Shop) -> None:
    """CVE-2018-1058, CVE-2024-7348: functions before those of the server, in indexes; a whole search_path."""
    shop.sql(PLANTED % {"database": DATABASE})
    shop.services("backup", "db", "production")
    shop.services("restore", "db", "production", "--yes")
    shop.services("restore", "db", "production", "--drop-old", "--yes")
    psql = ("runuser", "-u", "postgres", "--", "psql", "-Atc")
    roles = shop.db1.ssh(*psql, "SELECT rolname FROM pg_roles WHERE rolsuper").stdout.split()
    assert roles == ["postgres"]
    logins = shop.db1.ssh(*psql, "SELECT rolname FROM pg_roles WHERE rolcanlogin ORDER BY 1").stdout.split()
    assert set(logins) <= {"postgres", f"{DATABASE}__a", f"{DATABASE}__b"}
    assert "t" not in shop.sql("\\t\nSELECT super FROM won WHERE super;").split()
    shop.sql(
        "DROP SCHEMA trap; DROP TABLE won, trapped; DROP FUNCTION public.note, public.count, public.format;"
    )
    shop.sql("DROP FUNCTION public.indexed;")


def test_a_restore_brings_every_row_back_and_keeps_what_it_replaced(shop: Shop) -> None:
    """Rows that came since are in what is kept."""
    shop.services("backup", "db", "production")
    before = shop.sql(EVERYTHING)
    shop.sql('DELETE FROM rows WHERE id > 10; DROP TABLE "od\'d"."t ""x";')
    said = shop.services("restore", "db", "production", status=1).stderr
    assert "Give --yes" in said
    said = shop.services("restore", "db", "production", "--yes").stdout
    assert f"kept as {DATABASE}__o" in said
    assert shop.sql(EVERYTHING) == before
    assert shop.fleet.get(shop.web1, "/rows") == "5000"
    psql = ("runuser", "-u", "postgres", "--", "psql", "-At", f"{DATABASE}__o", "-c")
    assert shop.db1.ssh(*psql, "SELECT count(*) FROM rows").stdout == "10\n"
    again = shop.services("restore", "db", "production", "--yes", status=1).stderr
    assert "still there" in again
    assert "--drop-old" in again
    dropped = shop.services("restore", "db", "production", "--drop-old", "--yes").stdout
    assert f"Its backup: db1:/{BACKUPS}/" in dropped
    assert shop.listed()[DATABASE]["replaced"] is None


@pytest.mark.parametrize("text", ["Loading", "Switching"])
def test_a_restore_that_was_killed_leaves_one_or_the_other(shop: Shop, text: str) -> None:
    """By the next run at the latest."""
    before = shop.sql(EVERYTHING)
    killed_when(shop, text, "restore", "db", "production", "--yes")
    shop.db1.ssh(
        "pkill", "-9", "-f", "packhorse_service.backups|packhorse-service-backup restore", status=None
    )
    assert shop.sql(EVERYTHING) == before
    shop.services("restore", "db", "production", "--drop-old", "--yes")
    shop.services("restore", "db", "production", "--yes")
    assert shop.sql(EVERYTHING) == before
    shop.services("restore", "db", "production", "--drop-old", "--yes")


def test_a_changed_or_hostile_dump_changes_nothing(shop: Shop, fetched: tuple[Path, str]) -> None:
    """What it says runs as the application at most; without all its rows it does not take the place."""
    before, (path, _) = shop.sql(EVERYTHING), fetched
    (path.with_name("bad.dump")).write_bytes(path.read_bytes()[:-2000])
    said = shop.services(
        "restore", "db", "production", str(path.with_name("bad.dump")), "--yes", status=1
    ).stderr
    assert "pg_restore failed" in said
    (path.with_name("bad.sql")).write_text("DROP ROLE x;")
    said = shop.services(
        "restore", "db", "production", str(path.with_name("bad.sql")), "--yes", status=1
    ).stderr
    assert "is no dump in pg_dump's own format" in said
    described = json.loads(path.with_name(f"{path.name}.json").read_text())
    described |= {"name": "20200101T000000Z", "rows": {**described["rows"], "public.rows": 7}}
    path.with_name(f"{path.name}.json").write_text(json.dumps(described))
    said = shop.services("restore", "db", "production", str(path), "--yes", status=1).stderr
    assert "public.rows: 5000 instead of 7" in said
    assert shop.sql(EVERYTHING) == before


def test_the_commands_of_the_pages_work(shop: Shop) -> None:
    """In their order, as a reader types them."""
    page = (documents.CHECKOUT / "docs/from-heroku.md").read_text()
    named = re.findall(r"`(release services[^`]*)`", page)
    (block,) = [each for each in documents.blocks("services.md") if each.language == "sh"]
    environment = {**shop.fleet.environment, "PATH": f"{BIN}:{shop.fleet.environment['PATH']}"}
    commands = [command.partition("#")[0].strip() for command in [*named, *block.text.splitlines()]]
    for command in dict.fromkeys(commands):
        if "latest.dump" not in command:
            run_command("sh", "-ec", command, env=environment, cwd=shop.fleet.project)
