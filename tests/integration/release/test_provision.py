"""`release provision`: a mirror and hosts for an application from nothing, which stay what they are."""

import contextlib
import hashlib
import io
import json
import socket
import ssl
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support import hosts
from tests.support.hosts.bare_servers import APP, DOMAIN, Company, changed, company, get
from tests.support.load_client import Load
from tests.support.servers import BIN, run_command, wait_until
from tests.support.tiny_app import NAME, app_wheel

pytestmark = [*hosts.MARKS, pytest.mark.needs("nginx")]

LIMITS = 'memory_max = "512M"\nstatic = { "/static/" = "/srv/static" }\n'
MAKE_CERTIFICATE = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=shop "
    "-addext subjectAltName=DNS:shop.example.com -keyout /srv/shop.key -out /srv/shop.pem"
)
# From the task on that is of interest: 15 s less.
ONLY_VHOST = ("--limit", "web1", "--start-at-task", "Make the vhost of the application")
SOME = "pypi:web1"  # web2 and web3 are like web1
PREFIX = "/opt/packhorse"
VHOST = f"etc/nginx/packhorse/{APP}.conf"


@pytest.fixture(scope="module")
def bare() -> Iterator[Company]:
    with company("web1", "web2", "web3") as made:
        made.configure(provision=LIMITS)
        yield made


@pytest.fixture(scope="module")
def shop(bare: Company) -> Company:
    """The same servers, provisioned; two of them had other versions of Packhorse before."""
    for host, name in ((bare.apps[0], "toolbox"), (bare.pypi, "mirror")):
        host.ssh("mkdir", "-p", f"{PREFIX}/{name}-first", f"{PREFIX}/{name}-last")
        host.ssh("touch", "-d", "yesterday", f"{PREFIX}/{name}-first")
    bare.release("provision", "mirror")
    bare.release("provision", "production")
    return bare


@pytest.fixture
def web1(shop: Company) -> hosts.Host:
    return shop.apps[0]


def test_check_mode_on_bare_servers_says_what_would_be_done_and_changes_nothing(bare: Company) -> None:
    """The first thing that a careful administrator tries."""
    before = {host.name: changed(host) for host in bare.net.members.values()}
    numbers = bare.provision("--check", "--diff", "--limit", SOME)
    assert {host.name: changed(host) for host in bare.net.members.values()} == before
    assert {host for host, number in numbers.items() if number > 10} == {"pypi", "web1"}


@pytest.fixture(scope="module")
def again(shop: Company) -> dict[str, int]:
    """How much a second run changes, with a configuration of nginx in the mirror's own folder."""
    folder = shop.pypi.files / "var/lib/packhorse-mirror/mirror"
    (folder / "nginx.conf").write_text("server { listen 81; }\n")
    return shop.provision("--limit", SOME)


def test_the_second_run_changes_nothing(again: dict[str, int]) -> None:
    """Provisioning may run every night."""
    assert again == {"pypi": 0, "web1": 0}


def test_root_takes_nothing_from_the_mirrors_folder_for_nginx(shop: Company, again: dict[str, int]) -> None:
    """Who broke into the mirror would choose the configuration of a program that starts as root."""
    assert again["pypi"] == 0
    assert "listen 81" not in shop.pypi.ssh("nginx", "-T").stdout
    assert shop.pypi.ssh("stat", "-c", "%a %U %G", "/var/lib/packhorse-mirror").stdout == (
        "750 packhorse-mirror packhorse-mirror\n"
    )


NOTED = '#!/bin/sh\npython3 /root/impatient "$@"\ns=$?\necho $s >> /root/statuses\nexit $s\n'
PORT = "web: PORT=$PORT python -m tiny\n"
RELEASES = [
    app_wheel("0.1.0"),
    app_wheel("0.2.0"),
    app_wheel("0.3.0", "web3"),  # broken, and only there
    app_wheel("0.4.0", procfile=PORT),
    app_wheel("0.5.0", procfile=PORT),
]
# What is done, and what all hosts serve after it.
WORK = [
    ("0.2.0", ("deploy", "production", f"{NAME}==0.2.0")),
    ("0.2.0", ("deploy", "production", f"{NAME}==0.3.0")),
    ("0.1.0", ("rollback", "production")),
    ("0.4.0", ("deploy", "production", f"{NAME}==0.4.0")),
    ("0.5.0", ("deploy", "production", f"{NAME}==0.5.0")),
    ("0.4.0", ("rollback", "production")),
    ("0.2.0", ("deploy", "production", f"{NAME}==0.2.0")),
]


def test_releases_come_and_go_on_three_servers_without_a_failed_request(shop: Company) -> None:
    """All of it at once: from the company's own mirror, through nginx, over sockets and ports, and back."""
    shop.upload(RELEASES)
    shop.release("deploy", "production", f"{NAME}==0.1.0")
    with contextlib.ExitStack() as stack:
        loads = [
            stack.enter_context(Load(80, address=host.address, host=DOMAIN, rate=80)) for host in shop.apps
        ]
        for version, command in WORK:
            shop.release(*command, status=int(command[-1] == f"{NAME}==0.3.0"))
            assert [get(host) for host in shop.apps] == [(200, version)] * 3
        # On a busy machine the clients fall behind.
        wait_until("2000 requests", lambda: sum(load.sent for load in loads) >= 2000, deadline=180)
    assert sum(load.failed for load in loads) == 0


def test_a_host_without_a_target_is_prepared_and_deployed_to_with_defaults(
    shop: Company, tmp_path: Path
) -> None:
    """Who has one server declares nothing; the keys of who prepares it may deploy."""
    (tmp_path / "release.toml").write_text('app = "other"\nallow_http = true\n')
    environment = shop.net.environment(shop.outside.home, RELEASE_INDEX=shop.index)
    release = BIN / "release"
    said = run_command(release, "provision", "root@web1", env=environment, cwd=tmp_path, timeout=900).stdout
    assert "web1: deploys log in as other, with the keys of tests." in said
    assert said.splitlines()[-1] == "Next: release deploy web1"
    deploy = ("deploy", "web1", f"{NAME}==0.1.0", "--json")
    done = run_command(release, *deploy, env=environment, cwd=tmp_path)
    url = json.loads(done.stdout)["hosts"][0]["url"]
    assert url == f"http://{shop.apps[0].address}/"  # what ssh's configuration says about web1
    assert requests.get(url, timeout=30).text == "0.1.0"
    refused = run_command(BIN / "release", "status", "wbe1", env=environment, cwd=tmp_path, status=1)
    assert "ssh finds no host of this name" in refused.stderr


def test_the_second_application_without_domains_leaves_the_first_its_address(
    shop: Company, tmp_path: Path
) -> None:
    """It is prepared all the same; who may not deploy to it yet is told so, and how."""
    first = shop.apps[0].files / "etc/nginx/packhorse/first.conf"
    first.write_text(f"server {{ listen 80; server_name {shop.apps[0].address}; }}\n")
    (tmp_path / "release.toml").write_text('app = "third"\nallow_http = true\n')
    environment = shop.net.environment(shop.outside.home, RELEASE_INDEX=shop.index)
    command = ("provision", "root@web1", *ONLY_VHOST)
    try:
        said = run_command(BIN / "release", *command, env=environment, cwd=tmp_path, timeout=900).stdout
    finally:
        first.unlink()
    wrapped = " ".join(said.split())
    assert "Nothing public leads to third: something else answers for the names of this host." in wrapped
    assert not (shop.apps[0].files / "etc/nginx/packhorse/third.conf").exists()
    assert "web1: from here nobody can deploy yet: third may not log in: " in said


def led_to_a_port(host: hosts.Host) -> None:
    """Leave nginx's file as an earlier Packhorse did for an application on a port."""
    text = f"upstream packhorse_{APP} {{\n    server 127.0.0.1:20001 fail_timeout=0;\n}}\n"
    (host.files / f"etc/nginx/packhorse/{APP}.upstream.conf").write_text(text)


def deployed(servers: Company, version: str, status: int = 0) -> str:
    """What `release deploy` says on stderr."""
    return servers.release("deploy", "production", f"{NAME}=={version}", status=status).stderr


@pytest.mark.parametrize(
    ("file", "text"),
    [("etc/nginx/conf.d/wrong.conf", "nonsense;\n"), (f"etc/sudoers.d/packhorse-{APP}", "# nobody\n")],
)
def test_a_server_whose_nginx_cannot_be_told_takes_all_back(shop: Company, file: str, text: str) -> None:
    """Its configuration is refused, or the user may not switch it to the socket."""
    led_to_a_port(shop.apps[2])
    place = shop.apps[2].files / file
    before = place.read_text() if place.exists() else None
    place.write_text(text)
    try:
        with Load(80, address=shop.apps[2].address, host=DOMAIN) as load:
            said = deployed(shop, "0.4.0", status=1)
    finally:
        place.write_text(before) if before else place.unlink()
    assert "web3: nginx could not be led to the public socket" in said
    assert [get(host) for host in shop.apps] == [(200, "0.2.0")] * 3
    assert load.failed == 0
    deployed(shop, "0.2.0")


@contextlib.contextmanager
def uploading(host: hosts.Host) -> Iterator[None]:
    """Somebody's upload, of which nginx waits for the rest as long as the block runs."""
    head = f"POST / HTTP/1.1\r\nHost: {DOMAIN}\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection((host.address, 80), timeout=10) as client:
        client.sendall(head.encode())
        assert client.recv(100).startswith(b"HTTP/1.1 100 "), "a worker of nginx has it now"
        yield


def test_requests_that_take_too_long_for_nginx_do_not_stop_a_deploy(shop: Company, web1: hosts.Host) -> None:
    """Somebody's upload of an hour: the old worker of nginx stays for it alone."""
    helper, kept = "/usr/local/sbin/packhorse-port", "/usr/local/sbin/packhorse-port.kept"
    web1.ssh("mv", helper, kept)
    text = (web1.files / kept[1:]).read_text().replace("DRAIN_SECONDS = 300.0", "DRAIN_SECONDS = 0.3")
    (web1.files / "root/impatient").write_text(text)
    (web1.files / helper[1:]).write_text(NOTED)
    web1.ssh("chmod", "+x", helper)
    try:
        with Load(80, address=web1.address, host=DOMAIN) as load:
            for version in ("0.4.0", "0.2.0"):
                led_to_a_port(web1)
                with uploading(web1):
                    deployed(shop, version)
    finally:
        web1.ssh("mv", kept, helper)
    assert (web1.files / "root/statuses").read_text() == "75\n75\n"
    assert load.failed == 0


@pytest.mark.parametrize("how", ["power cut", "reboot"])
def test_everything_comes_back_by_itself(shop: Company, how: str) -> None:
    """Nobody is there at four in the morning: all servers at once, and no command from outside."""
    servers = [shop.pypi, *shop.apps]
    for host in servers:
        host.power_cut() if how == "power cut" else host.shut_down()
    for host in servers:
        host.switch_on()
    for host in servers:
        host.wait()
    serving = [(200, "0.2.0")] * 3
    wait_until("the application", lambda: [get(host) for host in shop.apps] == serving)
    wait_until("the mirror", lambda: get(shop.pypi, "/+api", "pypi")[0] == 200, deadline=60)
    done = shop.release("status", "production", "--json")
    assert [row["state"] for row in json.loads(done.stdout)["hosts"]] == ["running"] * 3


def test_the_toolbox_is_what_its_lock_says(web1: hosts.Host) -> None:
    """From the company's own index: the hosts have no way to another one."""
    frozen = web1.ssh(
        f"{PREFIX}/toolbox/bin/python", "-m", "pip", "freeze", "--local", user=APP
    ).stdout.split()
    assert {line.partition("==")[0] for line in frozen} == {
        *("circus", "packaging", "psutil", "pyzmq", "tornado", "uv")
    }


@pytest.mark.parametrize(("host", "name"), [("web1", "toolbox"), ("pypi", "mirror")])
def test_what_was_used_before_is_removed_but_for_the_last(shop: Company, host: str, name: str) -> None:
    """Each is 50 MB and more, and servers live for years."""
    there = shop.net.members[host].files / PREFIX[1:]
    kept = sorted(path.name for path in there.iterdir() if path.name.startswith(f"{name}-"))
    assert len(kept) == 2
    assert kept == sorted([f"{name}-last", (there / name).readlink().name])


def test_the_supervisor_runs_as_a_user_of_its_own_within_its_bounds(web1: hosts.Host) -> None:
    """A hole in the application is not a hole in the host, nor in what is deployed next."""
    show = ("systemctl", "show", f"packhorse@{APP}", "--property")
    main = web1.ssh(*show, "MainPID", "--value").stdout.strip()
    assert web1.ssh("ps", "-o", "user=", "-p", main).stdout.strip() == f"_{APP}"
    shown = web1.ssh(*show, "MemoryMax,NoNewPrivileges,KillMode").stdout
    assert set(shown.split()) == {"MemoryMax=536870912", "NoNewPrivileges=yes", "KillMode=control-group"}


def test_only_nginx_and_the_application_reach_its_sockets(web1: hosts.Host) -> None:
    """Whoever may write to the control socket runs code as its user."""
    links, folder = f"/run/{APP}", f"/run/packhorse/{APP}"
    shown = ("stat", "-c", "%a %U %G", links, folder, f"{folder}/ctl.sock")
    modes = web1.ssh(*shown).stdout
    assert modes.splitlines() == ["2710 shop www-data", "710 _shop www-data", "770 _shop _shop"]
    assert web1.ssh("test", "-S", f"{links}/web.a.sock", user=APP).returncode == 0
    web1.ssh("runuser", "-u", "nobody", "--", "test", "-e", f"{folder}/web.a.sock", status=1)


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


def test_nginx_follows_no_link_out_of_a_static_folder(web1: hosts.Host) -> None:
    """Whoever may write there could show everything that nginx may read; `current` is a link of ours."""
    static = web1.files / "srv/static"
    static.mkdir(exist_ok=True)
    (static / "leak").symlink_to("/etc/hostname")
    (static / "folder").symlink_to("/etc")
    (static / "plain.txt").write_text("public")
    assert get(web1, "/static/plain.txt") == (200, "public")
    paths = ("/static/leak", "/static/folder/hostname", "/static../hostname", "/static/../etc/hostname")
    assert {get(web1, path)[0] for path in paths[:2]} <= {403, 404}
    assert not any(web1.name in get(web1, path)[1] for path in paths)


def test_nginx_has_room_for_connections_that_one_client_holds(web1: hosts.Host) -> None:
    """Debian's 768 for each worker were taken by one client that never ends its heads, and 1024 files too."""
    found = web1.ssh("nginx", "-T")
    assert "worker_connections 4096;" in found.stdout
    assert "worker_rlimit_nofile 16384;" in found.stdout
    assert "exceed open file resource limit" not in found.stderr


def test_a_domain_that_another_vhost_has_is_refused_by_the_name_of_its_file(
    shop: Company, web1: hosts.Host
) -> None:
    """nginx only warns: the file that comes first in the alphabet would get the other one's visitors."""
    other = web1.files / "etc/nginx/packhorse/another.conf"
    other.write_text(f"server {{ listen 80; listen [::]:80; server_name x.example.com {DOMAIN}; }}\n")
    before = (web1.files / VHOST).read_text()
    (web1.files / VHOST).write_text(before + "# older\n")
    try:
        said = shop.release("provision", "production", *ONLY_VHOST, status=1)
    finally:
        other.unlink()
        (web1.files / VHOST).write_text(before)
    assert f"Error: {DOMAIN} is taken: /etc/nginx/packhorse/another.conf serves it already." in said.stdout
    assert "Hint: Choose another name" in said.stdout


def test_a_bad_vhost_takes_nothing_down_and_serves_once_it_is_right(shop: Company, web1: hosts.Host) -> None:
    """nginx reads one configuration for all: a mistake in it would come out at the next restart."""
    before = (web1.files / VHOST).read_text()
    shop.configure('tls_certificate = "/srv/shop.pem"\ntls_certificate_key = "/srv/shop.key"', LIMITS)
    said = shop.release("provision", "production", *ONLY_VHOST, status=1)
    assert "/srv/shop.pem" in said.stdout
    assert said.stderr.splitlines()[-2].startswith("Error: Ansible failed")
    assert (web1.files / VHOST).read_text() == before
    web1.ssh("systemctl", "restart", "nginx")
    web1.ssh("sh", "-c", MAKE_CERTIFICATE)
    shop.release("provision", "production", *ONLY_VHOST)
    assert get(web1)[0] == 301
    with socket.create_connection((web1.address, 443), timeout=10) as plain:
        context = ssl.create_default_context(cadata=(web1.files / "srv/shop.pem").read_text())
        context.wrap_socket(plain, server_hostname="shop.example.com").close()


def test_nginx_serves_files_of_the_mirror_that_other_users_cannot_read(shop: Company) -> None:
    """It is in the mirror's group; the rest of the machine is not."""
    url = f"http://{shop.pypi.address}/root/pypi/+simple/circus/"
    accept = {"Accept": "application/vnd.pypi.simple.v1+json"}
    first = requests.get(url, headers=accept, timeout=30).text
    there = "/var/lib/packhorse-mirror/mirror/server/+pages"
    shop.pypi.ssh("runuser", "-u", "www-data", "--", "ls", there)
    assert "Permission denied" in shop.pypi.ssh("runuser", "-u", "games", "--", "ls", there, status=2).stderr
    shop.pypi.ssh("systemctl", "stop", "packhorse-mirror")
    try:
        again = requests.get(url, headers=accept, timeout=30)
        assert (again.status_code, again.text) == (200, first)
    finally:
        shop.pypi.ssh("systemctl", "start", "packhorse-mirror")
    wait_until("the mirror", lambda: get(shop.pypi, "/+api", "pypi")[0] == 200, deadline=60)


def test_the_mirror_runs_the_wheel_of_the_machine_that_provisioned_it(shop: Company) -> None:
    """By its hash, and no index was asked for the name: whoever had it there would be root here."""
    venv = shop.pypi.ssh("readlink", "-f", f"{PREFIX}/mirror").stdout.strip()
    (wheel,) = (shop.pypi.files / venv[1:]).glob("packhorse-*.whl")
    required = (shop.pypi.files / venv[1:] / "packhorse.txt").read_text()
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert required == f"packhorse @ file://{venv}/{wheel.name} --hash=sha256:{digest}\n"


@pytest.mark.parametrize(
    "unit",
    ["packhorse-mirror.service", "packhorse-mirror-backup.service", "packhorse-mirror-refresh.service"],
)
def test_systemd_confines_the_mirror_as_far_as_it_can_work(shop: Company, unit: str) -> None:
    """A hole in devpi-server, or in a parser of pages, is not a hole in the host."""
    said = shop.pypi.ssh("systemd-analyze", "security", "--no-pager", "--threshold=20", unit, status=None)
    assert said.returncode == 0, said.stdout
    shown = shop.pypi.ssh("systemctl", "show", unit, "--property", "UMask,MemoryMax").stdout
    assert "UMask=0027" in shown
    assert unit != "packhorse-mirror.service" or "MemoryMax=infinity" not in shown


def test_a_user_of_the_system_is_not_taken_over(shop: Company, web1: hosts.Host) -> None:
    """Debian has users named games, mail and backup."""
    before = web1.ssh("getent", "passwd", "games").stdout
    shop.configure('user = "games"', LIMITS)
    said = shop.release("provision", "production", "--limit", "web1", status=1)
    assert "games is a user of the system" in said.stdout
    assert web1.ssh("getent", "passwd", "games").stdout == before
    shop.configure(provision=LIMITS)


def test_a_python_that_debian_lacks_is_brought_from_a_folder(shop: Company, web1: hosts.Host) -> None:
    """As root's, over ssh: hosts have no way out. It is named while nobody has it."""
    name = "cpython-3.97.1+20260101-x86_64-unknown-linux-gnu-install_only"
    limit = ("--limit", "web1", "--start-at-task", "Bring the Python of the application")
    builds = shop.project / "python builds"
    builds.mkdir()
    shop.configure('python = "3.97"', f'{LIMITS}python_builds = "python builds"\n')
    said = shop.release("provision", "production", *limit, status=1).stdout
    assert "There is no Python 3.97 on web1" in said
    assert "in python_builds" in said
    with tarfile.open(builds / f"{name}.tar.gz", "w:gz") as archive:
        program = tarfile.TarInfo("python/bin/python3.97")
        program.size, program.mode, program.uid = len(b"#!/bin/sh\n"), 0o755, 1234
        archive.addfile(program, io.BytesIO(b"#!/bin/sh\n"))
    shop.release("provision", "production", *limit)
    there = web1.ssh("stat", "-L", "-c", "%u %a", f"{PREFIX}/python/3.97/bin/python3.97").stdout
    assert there == "0 755\n"
    assert "changed=0" in shop.release("provision", "production", *limit).stdout
    shop.configure(provision=LIMITS)


def test_a_supervisor_that_dies_is_started_again(web1: hosts.Host) -> None:
    """By the kernel's out-of-memory killer, say."""
    web1.ssh("systemctl", "kill", "--signal", "KILL", f"packhorse@{APP}")
    asked = ("systemctl", "show", f"packhorse@{APP}", "-p", "NRestarts", "--value")
    wait_until("another supervisor", lambda: int(web1.ssh(*asked).stdout) > 0)


def test_new_versions_are_looked_for_by_a_timer_and_said_in_the_journal(shop: Company) -> None:
    """Nobody logs in for it; what came is there to read, and to be remembered by the next look."""
    pypi, name = shop.pypi, "packhorse-mirror-refresh"
    shown = pypi.ssh(
        "systemctl", "show", f"{name}.timer", "-p", "ActiveState,Persistent,UnitFileState"
    ).stdout
    assert set(shown.split()) == {"ActiveState=active", "Persistent=yes", "UnitFileState=enabled"}
    times = pypi.ssh("systemctl", "show", f"{name}.timer", "-p", "TimersCalendar", "--value").stdout
    assert "OnCalendar=*-*-* 00/6:00:00" in times
    pypi.ssh("systemctl", "start", f"{name}.service")
    assert "projects in use" in pypi.ssh("journalctl", "-u", name, "-o", "cat", "--no-pager").stdout
    assert pypi.ssh("stat", "-c", "%U", "/var/lib/packhorse-mirror/mirror/refresh.json").stdout == (
        "packhorse-mirror\n"
    )
    mirror = ("/opt/packhorse/mirror/bin/mirror", "status", "--json")
    own = ("runuser", "-u", "packhorse-mirror", "--", "env", "PACKHORSE_HOME=/var/lib/packhorse-mirror")
    last = json.loads(pypi.ssh(*own, *mirror).stdout)["last_refresh"]
    assert last["problem"] == ""
    assert 0 < last["next"] - last["at"] <= 6 * 3600
    assert last["next"] % (6 * 3600) == 0


def test_a_refresh_at_boot_waits_for_the_mirror(shop: Company) -> None:
    """A timer that missed its time starts it at once, seconds before the mirror listens."""
    pypi, name = shop.pypi, "packhorse-mirror-refresh.service"

    def shown(wanted: str) -> bool:
        return wanted in pypi.ssh("systemctl", "show", name, "-p", "ActiveState,Result").stdout.split()

    pypi.ssh("systemctl", "stop", "packhorse-mirror")
    pypi.ssh("systemctl", "start", "--no-block", name)
    wait_until("the look begins", lambda: not shown("ActiveState=inactive"))
    seen: list[list[str]] = [[], []]

    def sleeps() -> bool:
        """Whether it sleeps at two looks in a row, and did nothing meanwhile: no start of a program does."""
        main = pypi.ssh("systemctl", "show", name, "-p", "MainPID", "--value").stdout.strip()
        fields = pypi.ssh("cat", f"/proc/{main}/stat", status=None).stdout.rpartition(")")[2].split()
        seen.append([fields[0], *fields[11:13]] if fields else [])  # state, ticks of the processor
        return seen[-1] == seen[-2] and seen[-1][:1] == ["S"]

    wait_until("it waits, or has failed", lambda: shown("ActiveState=failed") or sleeps())
    pypi.ssh("systemctl", "start", "packhorse-mirror")
    wait_until("the look ends", lambda: not shown("ActiveState=activating"), deadline=120)
    assert shown("Result=success")


def test_a_mirror_that_is_no_longer_refreshed_has_neither_timer_nor_service(shop: Company) -> None:
    """Whoever takes refresh_at out of release.toml means it."""
    shop.configure(provision=LIMITS, refreshes=False)
    only = ("--limit", "pypi", "--start-at-task", "Look for the timer of before")
    shop.release("provision", "mirror", *only)
    listed = ("systemctl", "list-units", "--all", "--plain", "--no-legend", "packhorse-mirror-refresh*")
    assert shop.pypi.ssh(*listed).stdout == ""
    there = list((shop.pypi.files / "etc/systemd/system").rglob("packhorse-mirror-refresh*"))
    assert there == []
    assert not (shop.pypi.files / "var/lib/packhorse-mirror/mirror/last-refresh.json").exists()
    assert "changed=0" in shop.release("provision", "mirror", *only).stdout
    shop.configure(provision=LIMITS)


def test_the_mirror_comes_back_from_its_backup(shop: Company) -> None:
    """A backup that nobody has restored is a hope."""
    pypi, state = shop.pypi, "/var/lib/packhorse-mirror/mirror"
    listed = get(pypi, "/root/pypi/+simple/circus/", "pypi")
    pypi.ssh("systemctl", "start", "packhorse-mirror-backup")
    (backup,) = (pypi.files / "var/backups/packhorse-mirror").iterdir()
    pypi.ssh("systemctl", "stop", "packhorse-mirror")
    pypi.ssh("mv", state, f"{state}.lost")
    settings = "etc/packhorse/mirror.toml"
    assert (backup / "mirror.toml").read_text() == (pypi.files / settings).read_text()
    saved = f"/var/backups/packhorse-mirror/{backup.name}"
    command = ("/opt/packhorse/mirror/bin/mirror", "--config", f"/{settings}", "restore", saved)
    own = ("runuser", "-u", "packhorse-mirror", "--", "env", "PACKHORSE_HOME=/var/lib/packhorse-mirror")
    pypi.ssh(*own, *command)
    pypi.ssh("systemctl", "start", "packhorse-mirror")
    wait_until("the mirror", lambda: get(pypi, "/+api", "pypi")[0] == 200, deadline=60)
    assert get(pypi, "/root/pypi/+simple/circus/", "pypi") == listed
