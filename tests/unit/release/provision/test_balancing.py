"""The promises of release.provision.balancing, and of the inventory about balancers."""

from pathlib import Path
from typing import Any

from release.config import release_toml
from release.provision import inventory

TEXT = """\
app = "shop"
index = "https://pypi.example.com/company/prod"
[targets.production]
hosts = ["web1", "web2"]
domains = ["*.shop.example.com", "shop.example.com"]
balancer = { hosts = ["lb1"], user = "root" }
[targets.staging-eu]
hosts = ["lb2"]
domains = ["*.staging.example.com"]
tls_certificate = "/etc/ssl/shop.pem"
tls_certificate_key = "/etc/ssl/shop.key"
balancer = { hosts = ["lb1"] }
[addresses]
web1 = "10.0.0.1"
web2 = ["fd00::2", "10.0.0.2"]
lb1 = ["10.0.0.9", "fd00::9"]
lb2 = "fd00::3"
"""


def of(folder: Path, text: str = TEXT) -> dict[str, Any]:
    (folder / "release.toml").write_text(text)
    return inventory.of(release_toml.load(folder), folder)


def test_one_balancer_leads_to_several_targets_each_under_a_name_of_its_own(tmp_path: Path) -> None:
    """APPLICATION.TARGET: neither part has a dot."""
    found = of(tmp_path)
    lb1 = found["_meta"]["hostvars"]["lb1"]
    assert [each["name"] for each in lb1["packhorse_balanced"]] == ["shop.production", "shop.staging-eu"]
    assert found["balancer_staging_eu"] == {"hosts": ["lb1"]}
    assert found["balancer_hosts"] == {"children": ["balancer_production", "balancer_staging_eu"]}
    assert (lb1["ansible_user"], lb1["ansible_become"]) == ("root", False)


def test_keys_of_all_targets_may_talk_to_a_balancer_and_none_replaces_another(tmp_path: Path) -> None:
    """They can do nothing else there; those that deploy to the host itself stay what they are."""
    text = TEXT + '[targets.other]\nhosts = ["web3", "lb1"]\n'
    for target, key in (("production", "AAAA"), ("staging-eu", "BBBB"), ("other", "CCCC")):
        text += f'[targets.{target}.provision]\nauthorized_keys = ["ssh-ed25519 {key}", "ssh-rsa DDDD"]\n'
    talk = 'restrict,command="/usr/local/bin/packhorse-balancer talk" ssh-'
    alone = of(tmp_path, text.replace(', "lb1"]\n[targets.p', "]\n[targets.p"))["_meta"]["hostvars"]["lb1"]
    found = [each["authorized_keys"] for each in alone["packhorse_balanced"]]
    assert found == [[f"{talk}ed25519 AAAA", f"{talk}rsa DDDD", f"{talk}ed25519 BBBB"]] * 2
    both = of(tmp_path, text)["_meta"]["hostvars"]["lb1"]
    lines = ["ssh-ed25519 CCCC", "ssh-rsa DDDD", f"{talk}ed25519 AAAA", f"{talk}ed25519 BBBB"]
    assert [each["authorized_keys"] for each in both["packhorse_balanced"]] == [lines] * 2
    assert both["packhorse_authorized_keys"] == lines
    unsaid = text.replace('["ssh-ed25519 CCCC", "ssh-rsa DDDD"]', "[]")
    assert of(tmp_path, unsaid)["_meta"]["hostvars"]["lb1"]["packhorse_authorized_keys"] == []


def test_it_passes_requests_on_to_addresses(tmp_path: Path) -> None:
    """Names would be looked up when nginx starts, and stop it when they are not found."""
    production, staging = of(tmp_path)["_meta"]["hostvars"]["lb1"]["packhorse_balanced"]
    assert production["hosts"] == [
        {"name": "web1", "address": "10.0.0.1"},
        {"name": "web2", "address": "[fd00::2]"},
    ]
    assert staging["hosts"] == [{"name": "lb2", "address": "[fd00::3]"}]


def test_hosts_are_asked_by_a_name_that_their_vhost_has(tmp_path: Path) -> None:
    """A host shows another site under other names."""
    production, staging = of(tmp_path)["_meta"]["hostvars"]["lb1"]["packhorse_balanced"]
    assert production["health"] == {
        "app": "shop",
        "path": "/healthz",
        "host": "balancer.shop.example.com",
        "scheme": "http",
    }
    assert staging["health"]["host"] == "balancer.staging.example.com"
    assert staging["health"]["scheme"] == "https"


def test_nginx_knows_the_question_of_a_balancer_by_a_pattern_of_its_path(tmp_path: Path) -> None:
    """A path may have what nginx would take for the end of a text or a variable."""
    for path, pattern in (("/healthz", "/healthz"), ('/up.php?a=$b"{', r"/up\x2ephp\x3fa\x3d\x24b\x22\x7b")):
        web1 = of(tmp_path, f"{TEXT}[health]\npath = '{path}'\n")["_meta"]["hostvars"]["web1"]
        assert web1["packhorse_probe"] == pattern


def test_hosts_believe_all_addresses_of_their_balancers_and_say_where_clients_arrive(tmp_path: Path) -> None:
    """TLS ends there: nginx on the hosts has no https:// in its own names."""
    hosts = of(tmp_path)["_meta"]["hostvars"]
    assert hosts["web1"]["packhorse_balancers"] == ["10.0.0.9", "fd00::9"]
    assert hosts["web1"]["packhorse_url"] == "http://shop.example.com/"
    assert hosts["lb2"]["packhorse_url"] == "https://*.staging.example.com/"


def test_a_host_without_a_balancer_believes_nobody(tmp_path: Path) -> None:
    """As before."""
    alone = of(tmp_path, TEXT.replace('balancer = { hosts = ["lb1"], user = "root" }\n', ""))
    web1 = alone["_meta"]["hostvars"]["web1"]
    assert (web1["packhorse_balancers"], web1["packhorse_url"]) == ([], "")
    assert alone["balancer_hosts"] == {"children": ["balancer_staging_eu"]}


def test_without_domains_hosts_and_balancer_answer_for_the_names_of_the_balancer(tmp_path: Path) -> None:
    """Requests that it passes on bring its names along."""
    text = TEXT.replace('domains = ["*.shop.example.com", "shop.example.com"]\n', "")
    hosts = of(tmp_path, text)["_meta"]["hostvars"]
    assert hosts["lb1"]["packhorse_balanced"][0]["default_domains"] == ["lb1"]
    assert hosts["web1"]["packhorse_default_domains"] == ["lb1", "web1"]
