"""The sample application on provisioned servers: PostgreSQL, Redis, TLS, firewall, and daily commands."""

import json
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope

from tests.support import documents, hosts
from tests.support.hosts import Host, Network, network
from tests.support.load_client import Load
from tests.support.servers import BIN, Mirror, free_port, running_mirror, wait_until

pytestmark = [*hosts.MARKS, pytest.mark.timeout(1500)]

DOMAIN = "links.example.com"
CERTIFICATE = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=links -days 90 "
    f"-addext subjectAltName=DNS:{DOMAIN} -keyout /etc/ssl/links.key -out /etc/ssl/links.pem"
)
SETTINGS = """
app = "board"
index = "{index}"
allow_http = true
required = ["SECRET_KEY"]
[health]
path = "/readyz"
timeout = 40
[static]
folder = "sample_app/static"
[firewall]
[services.db]
kind = "postgresql"
hosts = ["{database}"]
user = "root"
[services.db.backup]
copy_to = "web2"
[services.queue]
kind = "redis"
hosts = ["{database}"]
user = "root"
[targets.production]
hosts = ["web1", "web2"]
domains = ["{domain}"]
services = ["db", "queue"]
tls_certificate = "/etc/ssl/links.pem"
tls_certificate_key = "/etc/ssl/links.key"
[targets.production.env]
PUBLIC_URL = "https://{domain}"
HTTPS = "1"
PROXIES = "1"
SMTP_URL = "smtp://{outside}:{smtp}"
[targets.production.provision]
user = "root"
authorized_keys = ["{key}"]
[[targets.production.jobs]]
name = "cleanup"
schedule = "30 3 * * *"
command = "flask --app sample_app cleanup"
"""
EXPAND = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "rating", {head!r}
def upgrade():
    op.add_column("links", sa.Column("rating", sa.Integer()))
"""
CONTRACT = """
from alembic import op
revision, down_revision = "no_rating", "rating"
def upgrade():
    op.drop_column("links", "rating")
"""
SIGN_UPS = """
from sample_app import create_app
from sample_app.auth import accounts
with create_app().app_context():
    for number in range({first}, {first} + 10):
        accounts.sign_up(name="N", email=f"{{number}}@example.org", password="a long password")
"""
POSTS = """
from sample_app import board, create_app
from sample_app.auth import accounts
from sample_app.models import User
with create_app().app_context():
    user = User.find("0@example.org")
    accounts.confirm(user)
    for number in range(60):
        board.post(user, url=f"https://example.com/{number}", title=f"Link {number}", note="", tags=["test"])
"""


class Postbox:
    """A mail server: to whom it got mail."""

    def __init__(self) -> None:
        self.got: list[str] = []

    async def handle_DATA(self, _server: object, _session: object, envelope: Envelope) -> str:  # noqa: N802  # aiosmtpd's name
        self.got += envelope.rcpt_tos
        return "250 OK"


@dataclass
class Board:
    """Two servers of the application; the database is on db1, and db2 is there for later."""

    net: Network
    outside: Mirror
    postbox: Postbox
    smtp: int

    @property
    def web(self) -> list[Host]:
        return [self.net.members["web1"], self.net.members["web2"]]

    @property
    def project(self) -> Path:
        return self.outside.home / "sample_app"

    def configure(self, database: str) -> None:
        """Write release.toml."""
        text = SETTINGS.format(
            index=self.outside.index_url("company/dev"),
            database=database,
            domain=DOMAIN,
            outside=self.net.address,
            smtp=self.smtp,
            key=self.net.public_key.strip(),
        )
        (self.project / "release.toml").write_text(text)

    def release(self, *arguments: str, stdin: str = "", status: int = 0) -> str:
        """What `release` prints."""
        done = subprocess.run(
            [str(BIN / "release"), *arguments],
            env={**self.outside.environment, **self.net.environment(self.outside.home)},
            cwd=self.project,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    def python(self, script: str) -> str:
        """What a one-off process of the application prints."""
        return self.release("run", "production", "--", "python", "-", stdin=script)

    def edit(self, file: str, pattern: str, replacement: str) -> None:
        """Change a source of the application."""
        path = self.project / file
        text, count = re.subn(pattern, replacement, path.read_text(), flags=re.MULTILINE)
        assert count == 1, pattern
        path.write_text(text)

    def deploy(self, version: str) -> None:
        """Build the sources as `version`, upload and deploy it."""
        self.edit("pyproject.toml", '^version = ".*"$', f'version = "{version}"')
        for command in (["build", "--wheel"], ["upload"], ["deploy", "production"]):
            self.release(*command)

    def context(self) -> ssl.SSLContext:
        """Trusts the certificates of both servers, and no other."""
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        for host in self.web:
            made.load_verify_locations(host.files / "etc/ssl/links.pem")
        return made

    def page(self, host: Host, path: str = "/") -> str:
        """Head and body of a page, the list, as a reader gets it."""
        with (
            socket.create_connection((host.address, 443), timeout=20) as plain,
            self.context().wrap_socket(plain, server_hostname=DOMAIN) as reader,
        ):
            reader.sendall(f"GET {path} HTTP/1.0\r\nHost: {DOMAIN}\r\n\r\n".encode())
            return b"".join(iter(lambda: reader.recv(65536), b"")).decode()

    def load(self) -> list[Load]:
        """Readers of the list, on both servers."""
        context = self.context()
        return [Load(443, address=host.address, host=DOMAIN, rate=20, tls=context) for host in self.web]

    def under_load(self, work: Callable[[], object]) -> None:
        """Do it while both servers are read, and lose no request."""
        readers = self.load()
        with readers[0], readers[1]:
            work()
        assert [(reader.failed, reader.statuses) for reader in readers] == [(0, {200})] * 2

    def mailed(self, number: int) -> bool:
        """Whether so many people got their mail."""
        return len(set(self.postbox.got)) == number


@pytest.fixture(scope="module")
def bare() -> Iterator[Board]:
    """Servers with ssh and nothing else."""
    with ExitStack() as stack:
        net = stack.enter_context(network())
        outside = stack.enter_context(running_mirror(host=net.address))
        net.hosts("web1", "web2", "db1", "db2")
        postbox = Postbox()
        server = Controller(postbox, hostname=net.address, port=free_port())
        server.start()
        stack.callback(server.stop)
        made = Board(net, outside, postbox, server.port)
        shutil.copytree(
            documents.CHECKOUT / "sample_app", made.project, ignore=shutil.ignore_patterns(".*", "dist")
        )
        for host in made.web:
            host.ssh(*CERTIFICATE.split())
        made.configure("db1")
        yield made


@pytest.fixture(scope="module")
def board(bare: Board) -> Board:
    """From bare servers to an application in use, by the commands of the documentation."""
    bare.release("provision", "production")
    bare.release("services", "attach", "db", "production")
    bare.release("services", "attach", "queue", "production")
    bare.release("config", "set", "production", "SECRET_KEY", stdin="0123456789abcdef0123456789abcdef")
    bare.deploy("1.0.1")
    bare.python(SIGN_UPS.format(first=0))
    bare.python(POSTS)
    return bare


def test_the_release_phase_migrates_and_the_worker_sends_mail(board: Board) -> None:
    """Links are there for everybody, on both servers; nobody else reaches the database."""
    wait_until("the mails", lambda: board.mailed(10))
    board.under_load(lambda: None)
    assert "Link 59" in board.page(board.web[1])
    database = board.net.members["db1"].address
    for port in (5432, 6379):
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((database, port), timeout=5)
    migrations = (board.project / "sample_app/migrations/versions").glob("0*.py")
    assert head(board) == max(path.name[:4] for path in migrations)


def test_nginx_serves_the_style_sheet_that_the_page_names(board: Board) -> None:
    """For ever, by its hashed name, on the other server too; the application is not asked."""
    (path,) = re.findall(r'href="(/static/style\.[0-9a-f]{12}\.css)"', board.page(board.web[0]))
    sheet, _, body = board.page(board.web[1], path).partition("\r\n\r\n")
    assert " 200 OK" in sheet.splitlines()[0]
    assert "Content-Type: text/css" in sheet
    assert "immutable" in sheet
    assert "Access-Control-Allow-Origin" not in sheet  # WhiteNoise in the application sends it
    assert "{" in body


def head(board: Board) -> str:
    """The revision of the database."""
    found = board.release(
        "services", "shell", "db", "production", stdin="SELECT version_num FROM alembic_version;"
    )
    return found.splitlines()[2].strip()


def test_a_schema_changes_in_two_steps_without_a_failed_request(board: Board) -> None:
    """Expand: the column comes, and the old version runs beside it. Contract: none uses it, and it goes."""
    versions = board.project / "sample_app/migrations/versions"
    column = "    rating: Mapped[int | None]\n"
    (versions / "rating.py").write_text(EXPAND.format(head=head(board)))
    board.edit("sample_app/models.py", r"^    title: Mapped\[str\].*\n", rf"\g<0>{column}")
    board.under_load(lambda: board.deploy("1.1.0"))
    assert head(board) == "rating"
    board.edit("sample_app/models.py", re.escape(column), "")
    board.under_load(lambda: board.deploy("1.2.0"))
    (versions / "no_rating.py").write_text(CONTRACT)
    board.under_load(lambda: board.deploy("1.3.0"))
    assert head(board) == "no_rating"
    board.under_load(lambda: board.release("rollback", "production"))  # to code that doesn't use the column
    assert head(board) == "no_rating"


def test_no_mail_is_lost_when_workers_are_replaced(board: Board) -> None:
    """By a deploy, by a new number of processes, and by kill -9: then within the three minutes of a claim."""
    before = len(set(board.postbox.got))
    with ThreadPoolExecutor() as pool:
        deploy = pool.submit(board.release, "deploy", "production")
        board.python(SIGN_UPS.format(first=100))
        deploy.result()
    board.release("scale", "production", "worker=2")
    board.python(SIGN_UPS.format(first=200))
    for host in board.web:
        host.ssh("pkill", "-KILL", "-f", "sample_app worker")
    wait_until("the mails", lambda: board.mailed(before + 20), deadline=240)


def test_its_day_by_the_commands_of_the_platform(board: Board) -> None:
    """Configuration, numbers, maintenance, the way back, and a job."""
    board.under_load(
        lambda: board.release("config", "set", "production", "SITE_NAME", stdin="The other board")
    )
    assert "The other board" in board.page(board.web[0])
    board.under_load(lambda: board.release("scale", "production", "web=2"))
    board.release("maintenance", "on", "production")
    for reader in (readers := board.load()):
        reader.good = (503,)
    with readers[0], readers[1]:
        wait_until("answers", lambda: min(reader.sent for reader in readers) > 3)
    assert [reader.failed for reader in readers] == [0, 0]
    board.release("maintenance", "off", "production")
    board.under_load(lambda: board.release("rollback", "production"))
    assert "The other board" not in board.page(board.web[0])
    board.release("jobs", "run", "production", "cleanup")
    assert '"cleanup"' in board.release("jobs", "production", "--json")
    lines = board.release("logs", "production", "--process", "web", "-n", "50")
    assert any(json.loads(line[line.index("{") :]) for line in lines.splitlines() if "{" in line)


def test_its_database_is_lost_and_comes_back_elsewhere(board: Board) -> None:
    """With every row."""
    rows = "SELECT * FROM links ORDER BY id; SELECT * FROM users ORDER BY id; SELECT * FROM link_tags;"
    board.release("services", "backup", "db", "production")
    before = board.release("services", "shell", "db", "production", stdin=rows)
    board.net.members["db1"].power_cut()
    board.configure("db2")
    board.release("provision", "production")
    board.release("services", "restore", "db", "production", "--from", "db1", "--yes")
    assert board.release("services", "shell", "db", "production", stdin=rows) == before
    board.release("services", "attach", "db", "production")
    board.release("services", "attach", "queue", "production")
    board.under_load(lambda: None)
    assert "Link 59" in board.page(board.web[0])
