"""`tls = "acme"`: certificates of a real authority (pebble), issued, served and renewed on real hosts."""

import contextlib
import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import hosts, ssh_target
from tests.support.acme_server import Authority, authority
from tests.support.hosts.bare_servers import APP, DOMAIN, Company, changed, company, get
from tests.support.load_client import Load
from tests.support.servers import run_command, wait_until

pytestmark = [*hosts.MARKS, pytest.mark.needs("pebble", "openssl")]

STATE = f"/var/lib/packhorse-acme/{APP}"
SNIPPET = f"/etc/nginx/packhorse/{APP}.tls"
UNIT = f"packhorse-acme@{APP}"
PAGE = "/static/page"
FROM_NGINX = ("--start-at-task", "Install nginx")
ONLY_VHOST = ("--start-at-task", "Make the vhost of the application")
CHALLENGE = "/.well-known/acme-challenge"
DAY = 86400
ACME = 'tls = "acme"\nhsts = "1y"'


def configure(shop: Company, tls: str = ACME, domains: tuple[str, ...] = (DOMAIN,)) -> None:
    """Write release.toml: everything but the mirror, which these hosts do not need."""
    shop.configure(tls, 'static = { "/static/" = "/srv/static" }\n')
    settings = shop.project / "release.toml"
    text = settings.read_text().replace(shop.index, shop.outside.index_url("company/dev"))
    text = text.replace(f'domains = ["{DOMAIN}"]', f"domains = {list(domains)}")
    directory = f"https://{shop.net.address}:14000/dir"
    acme = (
        f'directory = "{directory}"\ncontact = "ops@example.com"\nterms_agreed = true\nca_file = "ca.pem"\n'
    )
    settings.write_text(f"{text}\n[acme]\n{acme}")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    with (
        company("web1", "web2") as made,
        authority(made.net.address, tmp_path_factory.mktemp("x") / "acme") as ca,
    ):
        AUTHORITIES.append(ca)
        for host in made.apps:  # what provisioning does there first has tests of its own
            ssh_target.prepare(host, APP)
        (made.project / "ca.pem").write_text(ca.pem.read_text())
        ca.lead(DOMAIN, made.apps[0].address)
        configure(made)
        yield made


AUTHORITIES: list[Authority] = []


@pytest.fixture(scope="module")
def ca(bare: Company) -> Authority:
    """The authority of `bare`."""
    del bare
    return AUTHORITIES[-1]


@pytest.fixture(scope="module")
def said(bare: Company) -> str:
    """What the first `release provision` says, on servers whose static files are there already."""
    for host in bare.apps:
        (host.files / "srv/static").mkdir(parents=True)
        (host.files / "srv/static/page").write_text(host.name)
    return bare.release("provision", "production", *FROM_NGINX).stdout


@pytest.fixture(scope="module")
def shop(bare: Company, said: str) -> Company:
    """The same servers, provisioned."""
    assert said
    return bare


@pytest.fixture
def web1(shop: Company) -> hosts.Host:
    return shop.apps[0]


def served(host: hosts.Host, name: str = DOMAIN) -> dict[str, str]:
    """What nginx on `host` serves for `name`: serial and names."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((host.address, 443), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=name) as secured,
    ):
        pem = ssl.DER_cert_to_PEM_cert(secured.getpeercert(binary_form=True) or b"")
    place = host.folder / "served.pem"
    place.write_text(pem)
    asked = ("openssl", "x509", "-noout", "-serial", "-ext", "subjectAltName", "-in", place)
    lines = run_command(*asked, env={"PATH": "/usr/bin"}).stdout.split("\n")
    return {"serial": lines[0], "names": lines[2].strip()}


def over_tls(host: hosts.Host, trust: ssl.SSLContext, path: str = PAGE) -> tuple[int, str, dict[str, str]]:
    """Status, text and headers of an answer by HTTPS, of a server whose certificate is trusted."""
    with contextlib.closing(http.client.HTTPConnection(host.address, 443, timeout=10)) as connection:
        connection.connect()
        connection.sock = trust.wrap_socket(connection.sock, server_hostname=DOMAIN)
        connection.request("GET", path, headers={"Host": DOMAIN})
        answer = connection.getresponse()
        return (
            answer.status,
            answer.read().decode(),
            {key.lower(): value for key, value in answer.getheaders()},
        )


def state(host: hosts.Host) -> dict[str, object]:
    """What the last run of packhorse-acme has left."""
    found: dict[str, object] = json.loads((host.files / f"{STATE[1:]}/status.json").read_text())
    return found


def acme(host: hosts.Host, *options: str, status: int = 0) -> str:
    """What packhorse-acme says."""
    done = host.ssh("packhorse-acme", APP, *options, status=status)
    return done.stdout + done.stderr


@contextlib.contextmanager
def later(host: hosts.Host, days: int) -> Iterator[None]:
    """Let the programs of the host see a clock that is days ahead."""
    host.set_clock(days * DAY)
    try:
        yield
    finally:
        host.set_clock(0)


def test_check_mode_on_bare_servers_changes_nothing(bare: Company) -> None:
    """It says what would come; nobody has asked the authority."""
    before = changed(bare.apps[0])
    out = bare.release("provision", "production", "--check", "--diff", "--limit", "web1", *FROM_NGINX).stdout
    assert changed(bare.apps[0]) == before
    assert "packhorse-acme@.timer" in out


def test_provisioning_ends_with_https_on_every_host_of_the_name(
    shop: Company, said: str, ca: Authority
) -> None:
    """The name leads to the first one alone, which passes on what the authority asks the second for."""
    assert f"URL of the application, once it is deployed: https://{DOMAIN}/" in said
    assert "not every domain" not in said
    trust = ca.trusting()
    assert [over_tls(host, trust)[:2] for host in shop.apps] == [(200, "web1"), (200, "web2")]
    assert len({served(host)["serial"] for host in shop.apps}) == 2


def test_visitors_are_led_to_https_and_told_to_stay(web1: hosts.Host, ca: Authority) -> None:
    """Also from a page that would be static, and in maintenance."""
    with contextlib.closing(http.client.HTTPConnection(web1.address, timeout=10)) as connection:
        for path in ("/a?b=c", f"{PAGE}?b=c"):
            connection.request("GET", path, headers={"Host": DOMAIN})
            answer = connection.getresponse()
            answer.read()
            assert (answer.status, answer.headers["Location"]) == (301, f"https://{DOMAIN}{path}")
    trust = ca.trusting()
    assert over_tls(web1, trust)[2]["strict-transport-security"] == "max-age=31536000"
    web1.ssh("touch", f"/srv/apps/{APP}/maintenance", user=APP)
    try:
        status, _, headers = over_tls(web1, trust, "/")
    finally:
        web1.ssh("rm", f"/srv/apps/{APP}/maintenance", user=APP)
    assert (status, headers["strict-transport-security"]) == (503, "max-age=31536000")


@pytest.mark.parametrize(("version", "works"), [("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)])
def test_tls_is_current(web1: hosts.Host, version: str, works: bool) -> None:  # noqa: FBT001  # a parameter
    """Debian's nginx.conf allows TLS 1.0; HTTP/2 is spoken."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.set_alpn_protocols(["h2"])
    with pytest.warns(DeprecationWarning, match="deprecated") if not works else contextlib.nullcontext():
        context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    with socket.create_connection((web1.address, 443), timeout=10) as plain:
        if not works:
            with pytest.raises(ssl.SSLError):
                context.wrap_socket(plain, server_hostname=DOMAIN)
            return
        with context.wrap_socket(plain, server_hostname=DOMAIN) as secured:
            assert secured.selected_alpn_protocol() == "h2"


def test_keys_are_root_s_alone_and_the_account_is_of_who_asks(web1: hosts.Host) -> None:
    """Who has the account gets certificates for the domains."""
    found = web1.ssh("find", STATE, "-type", "f", "-printf", "%m %u %P\n").stdout.splitlines()
    others = [line.split() for line in found if not line.startswith("600 root ")]
    assert ["644", "root", "status.json"] in others
    asked = [line for line in others if line[2] != "status.json"]
    assert any("accounts" in path for _, _, path in asked)
    assert all(line[:2] == ["600", "packhorse-acme"] and line[2].startswith("lego/") for line in asked)
    folders = web1.ssh("stat", "-c", "%a", f"{STATE}/lego", f"{STATE}/certificates").stdout
    assert folders == "700\n700\n"


def test_the_second_run_changes_nothing(shop: Company) -> None:
    """Also not the certificate: authorities count how often they are asked."""
    before = [served(host) for host in shop.apps]
    out = shop.release("provision", "production", *FROM_NGINX).stdout
    assert out.count("changed=0") == 2
    assert [served(host) for host in shop.apps] == before


def test_a_certificate_is_renewed_by_its_timer_without_a_failed_request(
    shop: Company, web1: hosts.Host, ca: Authority
) -> None:
    """With the unit's own bounds. New connections see another certificate, and nginx is reloaded once."""
    timer = web1.ssh("systemctl", "show", f"{UNIT}.timer", "-p", "ActiveState,RandomizedDelayUSec").stdout
    assert set(timer.split()) == {"ActiveState=active", "RandomizedDelayUSec=1h"}
    before = served(web1)
    web1.ssh("systemctl", "start", UNIT)
    assert served(web1) == before
    with Load(443, PAGE, address=web1.address, host=DOMAIN, tls=ca.trusting(), rate=100) as load:
        with later(web1, 61):
            web1.ssh("systemctl", "start", UNIT)
        wait_until("another certificate", lambda: served(web1) != before)
        seen = load.sent
        wait_until("requests after it", lambda: load.sent > seen + 50)
    assert (load.failed, load.statuses) == (0, {200})
    assert served(shop.apps[1])["serial"] != served(web1)["serial"]


def test_a_renewal_that_fails_is_seen_and_leaves_all_as_it_was(
    shop: Company, web1: hosts.Host, ca: Authority
) -> None:
    """The authority is down. It is not asked again and again, and what is served goes on to be served."""
    before = served(web1)
    ca.stop()
    try:
        with later(web1, 61):
            assert "failed" in web1.ssh("systemctl", "start", UNIT, status=1).stderr
            first = state(web1)
            web1.ssh("systemctl", "start", UNIT, status=1)
            assert state(web1) == first, "no second try within the hour"
            assert "The next try is after " in acme(web1, status=1)
        assert web1.ssh("systemctl", "is-failed", UNIT).stdout == "failed\n"
        told = shop.release("status", "production", status=None).stdout
        report = shop.release("doctor", "production", "--json", status=None).stdout
    finally:
        ca.start()
    assert served(web1) == before
    assert "Certificate: that of shop.example.com is good for 89 days" in told
    assert "the authority is asked again after" in told
    (found,) = [
        row for row in json.loads(report)["checks"] if (row["host"], row["check"]) == ("web1", "certificate")
    ]
    assert (found["state"], "as it failed" in found["text"]) == ("warning", True)


def test_an_authority_that_has_lost_its_accounts_gets_another(web1: hosts.Host) -> None:
    """A private one was installed anew: the pebble of this test knows nobody any more."""
    before = served(web1)
    assert "accountDoesNotExist" in acme(web1, "--renew", "--force", status=1)
    assert "changed: " in acme(web1, "--renew", "--force")
    assert served(web1) != before
    assert state(web1)["failures"] == []
    web1.ssh("systemctl", "start", UNIT)
    assert web1.ssh("systemctl", "is-failed", UNIT, status=1).stdout == "inactive\n"


def test_a_domain_that_is_added_is_in_the_certificate_and_one_that_leads_elsewhere_harms_none(
    shop: Company, web1: hosts.Host, ca: Authority
) -> None:
    """It stays with HTTP, and gets its certificate when it leads here."""
    ca.lead("www.example.com", shop.apps[1].address)
    ca.lead("else.example.com", shop.net.address)  # nobody listens there
    shop.apps[1].ssh("rm", "-r", f"{STATE}/lego/accounts")  # of the pebble before
    configure(shop, domains=(DOMAIN, "www.example.com", "else.example.com"))
    said = shop.release("provision", "production", *ONLY_VHOST).stdout
    names = "DNS:shop.example.com, DNS:www.example.com"
    assert [set(served(host)["names"].split(", ")) for host in shop.apps] == [set(names.split(", "))] * 2
    assert "web1: not every domain has a certificate: the authority is asked again after" in said
    assert "[else.example.com] acme: error" in said
    assert get(web1, PAGE, "else.example.com") == (200, "web1")
    assert get(web1, PAGE, "www.example.com")[0] == 301
    ca.lead("else.example.com", web1.address)
    with later(web1, 1):
        web1.ssh("systemctl", "start", UNIT)
    assert "DNS:else.example.com" in served(web1)["names"]
    assert get(web1, PAGE, "else.example.com")[0] == 301


def test_a_run_that_is_killed_leaves_nothing_that_the_next_one_minds(web1: hosts.Host) -> None:
    """While the authority looks at the challenge, and after the certificate has come."""
    before = served(web1)
    challenges = web1.files / f"{STATE[1:]}/challenges"
    web1.ssh("pkill", "-STOP", "nginx")  # or the authority has its answer before the kill comes
    try:
        run = web1.program("setsid", "packhorse-acme", APP, "--renew", "--force")
        wait_until("a challenge", lambda: list(challenges.rglob("acme-challenge/*")))
        web1.ssh("pkill", "-9", "-f", "packhorse-acme")
        run.communicate()
    finally:
        web1.ssh("pkill", "-CONT", "nginx")
    assert list(challenges.rglob("acme-challenge/*"))
    assert served(web1) == before
    assert "changed: " in acme(web1, "--renew", "--force")
    assert not list(challenges.rglob("acme-challenge/*"))
    renewed = served(web1)
    number = (web1.files / SNIPPET[1:]).read_text().partition("certificates/")[2].partition("/")[0]
    left = f"{STATE}/lego/certificates"
    web1.ssh("mkdir", "-p", left)
    web1.ssh("mv", f"{STATE}/certificates/{number}/fullchain.pem", f"{left}/{DOMAIN}.crt")
    web1.ssh("mv", f"{STATE}/certificates/{number}/key.pem", f"{left}/{DOMAIN}.key")
    assert "changed: " in acme(web1)
    assert served(web1) == renewed


def test_nginx_passes_challenges_on_once_and_nothing_else(shop: Company, web1: hosts.Host) -> None:
    """No loop between the hosts, no way to another name or path, and no link out of the folder."""
    web2 = shop.apps[1]
    there = web2.files / f"{STATE[1:]}/challenges{CHALLENGE}"
    there.mkdir(parents=True, exist_ok=True)
    (there / "token").write_text("proof")
    (there / "link").symlink_to("/etc/hostname")
    web2.ssh("touch", f"/srv/apps/{APP}/maintenance", user=APP)
    log = web2.files / f"var/log/nginx/packhorse/{APP}.access.log"
    try:
        assert get(web1, f"{CHALLENGE}/token") == (200, "proof")
        assert get(web2, f"{CHALLENGE}/token") == (200, "proof")
        seen = log.read_text().count(CHALLENGE)
        assert get(web1, f"{CHALLENGE}/none")[0] == 404
        assert log.read_text().count(CHALLENGE) == seen + 1
        for path in ("link", "../../etc/hostname", "%2e%2e/%2e%2e/etc/hostname", "", "token/../link"):
            status, text = get(web2, f"{CHALLENGE}/{path}")
            assert (status in {301, 400, 403, 404}, "web2\n" in text) == (True, False), path
        assert get(web1, f"{CHALLENGE}/token", "evil.example.com")[1] in {"proof"} | {
            get(web1, f"{CHALLENGE}/token", "other.example.com")[1]
        }
    finally:
        web2.ssh("rm", f"/srv/apps/{APP}/maintenance", user=APP)


def test_tls_that_is_taken_out_leaves_http_and_comes_back_with_its_certificate(
    shop: Company, web1: hosts.Host
) -> None:
    """nginx stays sound; the authority is not asked for what is there."""
    before = served(web1)
    domains = (DOMAIN, "www.example.com", "else.example.com")
    configure(shop, "", domains)
    shop.release("provision", "production", "--limit", "web1", *ONLY_VHOST)
    assert get(web1, PAGE) == (200, "web1")
    web1.ssh("nginx", "-t")
    assert web1.ssh("systemctl", "is-enabled", f"{UNIT}.timer", status=1).stdout == "disabled\n"
    assert not (web1.files / SNIPPET[1:]).exists()
    assert not (web1.files / f"{STATE[1:]}/status.json").exists()
    configure(shop, ACME, domains)
    shop.release("provision", "production", "--limit", "web1", *ONLY_VHOST)
    assert served(web1) == before


def test_a_certificate_of_one_s_own_is_served_until_there_is_one_of_the_authority(
    shop: Company, web1: hosts.Host, ca: Authority, tmp_path: Path
) -> None:
    """Who changes over loses nothing, not even while the authority is down."""
    del tmp_path
    own = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    web1.ssh(
        *own,
        "-subj",
        "/CN=own",
        "-addext",
        f"subjectAltName=DNS:{DOMAIN}",
        "-keyout",
        "/srv/own.key",
        "-out",
        "/srv/own.pem",
    )
    web1.ssh("rm", "-r", STATE, SNIPPET)
    both = f'{ACME}\ntls_certificate = "/srv/own.pem"\ntls_certificate_key = "/srv/own.key"'
    configure(shop, both)
    ca.stop()
    try:
        shop.release("provision", "production", "--limit", "web1", *ONLY_VHOST)
    finally:
        ca.start()
    assert served(web1)["names"] == f"DNS:{DOMAIN}"
    own_serial = web1.ssh("openssl", "x509", "-noout", "-serial", "-in", "/srv/own.pem").stdout.strip()
    assert served(web1)["serial"] == own_serial
    assert get(web1, PAGE)[0] == 301
    assert "changed: " in acme(web1, "--now")
    assert served(web1)["serial"] != own_serial


def test_a_balancer_that_comes_gets_its_certificate_while_dns_still_leads_to_the_host(
    shop: Company, web1: hosts.Host, ca: Authority
) -> None:
    """The host goes on as it was, and passes the authority's question on; nobody is redirected twice."""
    lb1 = shop.apps[1]
    lb1.ssh("sh", "-c", f"rm /etc/nginx/packhorse/{APP}.*; systemctl disable --now {UNIT}.timer")
    before = served(web1)
    configure(shop, f'{ACME}\nbalancer = {{ hosts = ["web2"], user = "root" }}')
    settings = shop.project / "release.toml"
    settings.write_text(settings.read_text().replace("hosts = ['web1', 'web2']", 'hosts = ["web1"]'))
    said = shop.release("provision", "production", *FROM_NGINX).stdout
    assert f"URL of the application, once it is deployed: https://{DOMAIN}/" in said
    assert served(web1) == before
    assert served(lb1)["names"] == f"DNS:{DOMAIN}"
    assert served(lb1) != before
    assert get(lb1, PAGE)[0] == 301
    status, text, headers = over_tls(lb1, ca.trusting())
    assert (status, text, headers["strict-transport-security"]) == (200, "web1", "max-age=31536000")
    assert (
        "Certificate: that of shop.example.com is good for 89 days"
        in shop.release("status", "production").stdout
    )
