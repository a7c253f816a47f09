"""`release provision`: a mirror and hosts for an application from nothing, which stay what they are."""

import http.client
import re
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from tests import hosts
from tests.hosts.company import APP, Company, company
from tests.integration.helpers import wait_until

pytestmark = [*hosts.MARKS, pytest.mark.needs("nginx")]

LIMITS = 'memory_max = "512M"\nstatic = { "/static/" = "/srv/static" }\n'
VHOST = f"etc/nginx/packhorse/{APP}.conf"


@pytest.fixture(scope="module")
def bare() -> Iterator[Company]:
    with company("web1", "web2") as made:
        made.configure(provision=LIMITS)
        yield made


@pytest.fixture(scope="module")
def shop(bare: Company) -> Company:
    """The same servers, provisioned."""
    bare.release("provision", "mirror")
    bare.release("provision", "production")
    return bare


@pytest.fixture
def web1(shop: Company) -> hosts.Host:
    return shop.apps[0]


def changed(host: hosts.Host) -> set[Path]:
    """What was written on `host` since it was made, without what logins and boots write."""
    upper = host.folder / "upper"
    own = {"tmp", "run", "root", "var/log", "var/lib/systemd", "var/cache", "var/tmp"}
    found = {
        path.relative_to(upper) for path in upper.rglob("*") if path.suffix != ".pyc" and not path.is_dir()
    }
    return {path for path in found if not any(path.is_relative_to(name) for name in own)}


def get(host: hosts.Host, path: str = "/", name: str = "shop.example.com") -> tuple[int, str]:
    """What nginx on `host` answers."""
    with closing(http.client.HTTPConnection(host.address, timeout=10)) as connection:
        connection.request("GET", path, headers={"Host": name})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def recap(said: str) -> dict[str, int]:
    """Ansible's last words: how much it changed on every host."""
    lines = re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+) ", said, re.MULTILINE)
    return {host: int(number) for host, number in lines}


def provision_all(servers: Company, *options: str) -> dict[str, int]:
    """Provision both targets at the same time; how much was changed on every host."""
    with ThreadPoolExecutor() as pool:
        runs = [
            pool.submit(servers.release, "provision", name, *options) for name in ("mirror", "production")
        ]
        return {host: number for run in runs for host, number in recap(run.result().stdout).items()}


def test_check_mode_on_bare_servers_says_what_would_be_done_and_changes_nothing(bare: Company) -> None:
    """The first thing that a careful administrator tries."""
    before = {host.name: changed(host) for host in bare.net.members.values()}
    numbers = provision_all(bare, "--check", "--diff")
    assert {host.name: changed(host) for host in bare.net.members.values()} == before
    assert {host for host, number in numbers.items() if number > 10} == {"pypi", "web1", "web2"}


def test_the_second_run_changes_nothing(shop: Company) -> None:
    """Provisioning may run every night."""
    assert provision_all(shop) == {"pypi": 0, "web1": 0, "web2": 0}


def test_the_toolbox_is_what_its_lock_says(web1: hosts.Host) -> None:
    """From the company's own index: the hosts have no way to another one."""
    python = "/opt/packhorse/toolbox/bin/python"
    frozen = web1.ssh(python, "-m", "pip", "freeze", "--local", user=APP).stdout.split()
    assert {line.partition("==")[0] for line in frozen} == {
        *("circus", "packaging", "psutil", "pyzmq", "tornado", "uv")
    }


def test_the_supervisor_runs_as_the_applications_user_within_its_bounds(web1: hosts.Host) -> None:
    """A hole in the application is not a hole in the host."""
    main = web1.ssh(
        "systemctl", "show", f"packhorse@{APP}", "--property", "MainPID", "--value"
    ).stdout.strip()
    assert web1.ssh("ps", "-o", "user=", "-p", main).stdout.strip() == APP
    shown = web1.ssh(
        "systemctl", "show", f"packhorse@{APP}", "-p", "MemoryMax,NoNewPrivileges,KillMode"
    ).stdout
    assert set(shown.split()) == {"MemoryMax=536870912", "NoNewPrivileges=yes", "KillMode=control-group"}


def test_only_nginx_and_the_application_reach_its_sockets(web1: hosts.Host) -> None:
    """Whoever may write to the control socket runs code as its user."""
    folder = f"/run/{APP}"
    modes = web1.ssh("stat", "-c", "%a %U %G", folder, f"{folder}/web.a.sock", f"{folder}/ctl.sock").stdout
    assert modes.splitlines() == ["2710 shop www-data", "660 shop www-data", "700 shop www-data"]


def test_the_user_may_switch_the_port_and_nothing_else(web1: hosts.Host) -> None:
    """Deploying needs no root."""
    allowed = web1.ssh("sudo", "-l", "-U", APP).stdout.partition("may run the following")[2].splitlines()[1:]
    assert [line.strip() for line in allowed] == [f"(root) NOPASSWD: /usr/local/sbin/packhorse-port {APP} *"]
    assert "password is required" in web1.ssh("sudo", "-n", "true", user=APP, status=1).stderr


def port(host: hosts.Host, *arguments: str, status: int = 0) -> str:
    """What packhorse-port says, run as a deploy runs it."""
    return host.ssh(
        "sudo", "-n", "/usr/local/sbin/packhorse-port", *arguments, user=APP, status=status
    ).stderr


def test_an_application_on_a_port_is_reached_once_nginx_has_switched(web1: hosts.Host) -> None:
    """For servers that cannot take over a socket."""
    server = (
        "/usr/bin/python3",
        "-m",
        "http.server",
        "--bind",
        "127.0.0.1",
        "--directory",
        "/srv/apps",
        "8001",
    )
    web1.ssh("systemd-run", "--unit", "on-a-port", *server)
    before = web1.ssh("pgrep", "-P", (web1.ssh("cat", "/run/nginx.pid").stdout.strip())).stdout.split()
    port(web1, APP, "8001")
    after = web1.ssh("pgrep", "-P", (web1.ssh("cat", "/run/nginx.pid").stdout.strip())).stdout.split()
    assert not {*before} & {*after}
    wait_until("the server", lambda: get(web1)[0] == 200)
    port(web1, APP, "socket")
    assert "unix:/run/shop/web.sock" in (web1.files / f"etc/nginx/packhorse/{APP}.upstream.conf").read_text()
    web1.ssh("systemctl", "stop", "on-a-port")


@pytest.mark.parametrize(
    "arguments",
    [("shop", "80"), ("shop", "70000"), ("shop", "8001;"), ("shop", "8001", "8002"), ("shop",)],
)
def test_a_port_that_is_none_is_refused(web1: hosts.Host, arguments: tuple[str, ...]) -> None:
    """What runs as root trusts nothing that it is told."""
    before = changed(web1)
    assert port(web1, *arguments, status=1)
    assert changed(web1) == before


def test_other_applications_are_not_ones_own_to_switch(web1: hosts.Host) -> None:
    """Nor is nginx's own configuration."""
    assert "password is required" in port(web1, "other", "8001", status=1)
    assert "password is required" in port(web1, "../nginx", "8001", status=1)


def test_a_port_is_put_back_when_nginx_refuses_its_configuration(web1: hosts.Host) -> None:
    """Also when it is somebody else's part that is wrong."""
    upstream = web1.files / f"etc/nginx/packhorse/{APP}.upstream.conf"
    before = upstream.read_text()
    (web1.files / "etc/nginx/conf.d/wrong.conf").write_text("nonsense;\n")
    assert "nonsense" in port(web1, APP, "8001", status=1)
    assert upstream.read_text() == before
    (web1.files / "etc/nginx/conf.d/wrong.conf").unlink()


def test_a_maintenance_file_shows_the_page_and_static_files_stay(web1: hosts.Host) -> None:
    """No deploy and no reload is needed for it."""
    (web1.files / "srv/static").mkdir()
    (web1.files / "srv/static/style.css").write_text("p { }")
    web1.ssh("touch", f"/srv/apps/{APP}/maintenance", user=APP)
    status, page = get(web1)
    assert (status, "Back in a moment" in page) == (503, True)
    assert get(web1, "/static/style.css") == (200, "p { }")
    web1.ssh("rm", f"/srv/apps/{APP}/maintenance", user=APP)


def test_a_bad_vhost_takes_nothing_down_and_serves_once_it_is_right(shop: Company, web1: hosts.Host) -> None:
    """nginx reads one configuration for all: a mistake in it would come out at the next restart."""
    before = (web1.files / VHOST).read_text()
    shop.configure('tls_certificate = "/srv/shop.pem"\ntls_certificate_key = "/srv/shop.key"', LIMITS)
    said = shop.release("provision", "production", "--limit", "web1", status=1)
    assert "/srv/shop.pem" in said.stdout
    assert said.stderr.splitlines()[-2].startswith("Error: Ansible failed")
    assert (web1.files / VHOST).read_text() == before
    web1.ssh("systemctl", "restart", "nginx")
    certificate = (
        "-keyout",
        "/srv/shop.key",
        "-out",
        "/srv/shop.pem",
        "-subj",
        "/CN=shop",
        "-addext",
        "subjectAltName=DNS:shop.example.com",
    )
    web1.ssh(
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        *certificate,
    )
    shop.release("provision", "production", "--limit", "web1")
    assert get(web1)[0] == 301
    with socket.create_connection((web1.address, 443), timeout=10) as plain:
        context = ssl.create_default_context(cadata=(web1.files / "srv/shop.pem").read_text())
        context.wrap_socket(plain, server_hostname="shop.example.com").close()


def test_a_user_of_the_system_is_not_taken_over(shop: Company, web1: hosts.Host) -> None:
    """Debian has users named games, mail and backup."""
    before = web1.ssh("getent", "passwd", "games").stdout
    shop.configure('user = "games"', LIMITS)
    said = shop.release("provision", "production", "--limit", "web1", status=1)
    assert "games is a user of the system" in said.stdout
    assert web1.ssh("getent", "passwd", "games").stdout == before
    shop.configure(provision=LIMITS)


@pytest.mark.parametrize("how", ["reboot", "power cut"])
def test_everything_comes_back_by_itself(shop: Company, web1: hosts.Host, how: str) -> None:
    """Nobody is there at four in the morning."""
    for host in (shop.pypi, web1):
        if how == "reboot":
            host.reboot()
        else:
            host.power_cut()
            host.boot()
    wait_until(
        "the supervisor",
        lambda: web1.ssh("test", "-S", f"/run/{APP}/web.a.sock", status=None).returncode == 0,
    )
    wait_until("the mirror", lambda: get(shop.pypi, "/+api", "pypi")[0] == 200, deadline=60)
    for name, unit in {"web1": f"packhorse@{APP}", "pypi": "packhorse-mirror"}.items():
        assert shop.net.members[name].ssh("systemctl", "is-active", unit).stdout == "active\n"


def test_a_supervisor_that_dies_is_started_again(web1: hosts.Host) -> None:
    """By the kernel's out-of-memory killer, say."""
    web1.ssh("systemctl", "kill", "--signal", "KILL", f"packhorse@{APP}")
    asked = ("systemctl", "show", f"packhorse@{APP}", "-p", "NRestarts", "--value")
    wait_until("another supervisor", lambda: int(web1.ssh(*asked).stdout) > 0)


def test_the_mirror_comes_back_from_its_backup(shop: Company) -> None:
    """A backup that nobody has restored is a hope."""
    pypi, state = shop.pypi, "/var/lib/packhorse-mirror/mirror"
    listed = get(pypi, "/root/pypi/+simple/circus/", "pypi")
    pypi.ssh("systemctl", "start", "packhorse-mirror-backup")
    (backup,) = (pypi.files / "var/backups/packhorse-mirror").iterdir()
    pypi.ssh("systemctl", "stop", "packhorse-mirror")
    pypi.ssh("mv", state, f"{state}.lost")
    command = ("/opt/packhorse/mirror/bin/mirror", "restore", f"/var/backups/packhorse-mirror/{backup.name}")
    own = ("runuser", "-u", "packhorse-mirror", "--", "env", "PACKHORSE_HOME=/var/lib/packhorse-mirror")
    pypi.ssh(*own, *command)
    pypi.ssh("systemctl", "start", "packhorse-mirror")
    wait_until("the mirror", lambda: get(pypi, "/+api", "pypi")[0] == 200, deadline=60)
    assert get(pypi, "/root/pypi/+simple/circus/", "pypi") == listed
