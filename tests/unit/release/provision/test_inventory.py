"""The promises of release.provision.inventory."""

from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.config import release_toml
from release.config.release_toml import ReleaseConfig
from release.provision import inventory

INDEX = 'index = "https://pypi.example.com/company/prod"\n'
TARGET = '[targets.staging-eu]\nhosts = ["web1.example.com"]\n'


def settings(folder: Path, text: str) -> ReleaseConfig:
    (folder / "release.toml").write_text(f'app = "shop"\n{text}')
    return release_toml.load(folder)


def variables(folder: Path, text: str, host: str = "web1.example.com") -> inventory.Variables:
    found: inventory.Variables = inventory.of(settings(folder, text), folder)["_meta"]["hostvars"][host]
    return found


def test_every_target_with_hosts_is_a_group_that_ansible_accepts(tmp_path: Path) -> None:
    """Ansible's groups have no dashes; the local target has no hosts."""
    found = inventory.of(settings(tmp_path, f"{INDEX}{TARGET}[targets.local]\nkeep = 3\n"), tmp_path)
    assert found["app_hosts"] == {"children": ["target_staging_eu"]}
    assert found["target_staging_eu"] == {"hosts": ["web1.example.com"]}
    assert found["mirror_hosts"] == {"hosts": []}


def test_a_host_without_a_target_is_a_group_of_its_own(tmp_path: Path) -> None:
    """A target may have the same name but for the dots, and its hosts are not meant."""
    text = f'{INDEX}[targets.web2-example-com]\nhosts = ["web1.example.com"]\n'
    found = inventory.of(settings(tmp_path, text), tmp_path, "admin@web2.example.com")
    assert found["undeclared_host"] == {"hosts": ["web2.example.com"]}
    assert found["app_hosts"] == {"children": ["target_web2_example_com", "undeclared_host"]}
    assert found["_meta"]["hostvars"]["web2.example.com"]["ansible_user"] == "admin"
    assert inventory.of(settings(tmp_path, text), tmp_path, "web2-example-com")["app_hosts"] == {
        "children": ["target_web2_example_com"]
    }


def test_without_domains_nginx_answers_for_the_names_of_the_host(tmp_path: Path) -> None:
    """Something public should lead there, unless somebody says that nothing shall."""
    assert variables(tmp_path, f"{INDEX}{TARGET}")["packhorse_default_domains"] == ["web1.example.com"]
    none = variables(tmp_path, f"{INDEX}{TARGET}domains = []\n")
    assert (none["packhorse_domains"], none["packhorse_default_domains"]) == ([], [])
    own = variables(tmp_path, f'{INDEX}{TARGET}domains = ["a.example.com"]\n')
    assert (own["packhorse_domains"], own["packhorse_default_domains"]) == (["a.example.com"], [])


def test_the_applications_user_is_named_like_it_unless_the_target_says_otherwise(tmp_path: Path) -> None:
    """One name less to think about."""
    assert variables(tmp_path, f"{INDEX}{TARGET}")["packhorse_user"] == "shop"
    assert variables(tmp_path, f'{INDEX}{TARGET}user = "web"\n')["packhorse_user"] == "web"


def test_another_user_runs_the_processes_than_the_one_that_deploys(tmp_path: Path) -> None:
    """No application can be named like it: an underscore is no part of such a name."""
    assert variables(tmp_path, f"{INDEX}{TARGET}")["packhorse_run_user"] == "_shop"
    assert variables(tmp_path, f'{INDEX}{TARGET}run_user = "www"\n')["packhorse_run_user"] == "www"
    with pytest.raises(PackhorseError) as caught:
        variables(tmp_path, f'{INDEX}{TARGET}run_user = "shop"\n')
    assert "shop cannot run shop" in caught.value.message


def test_ansible_logs_in_as_ssh_would_and_root_needs_no_sudo(tmp_path: Path) -> None:
    """~/.ssh/config knows who to be; a minimal Debian has no sudo."""
    plain = variables(tmp_path, f"{INDEX}{TARGET}")
    assert "ansible_user" not in plain
    assert plain["ansible_become"]
    root = variables(tmp_path, f'{INDEX}{TARGET}[targets.staging-eu.provision]\nuser = "root"\n')
    assert (root["ansible_user"], root["ansible_become"]) == ("root", False)


def test_the_supervisor_gets_the_configuration_that_the_agent_expects(tmp_path: Path) -> None:
    """It is never changed afterwards: circus cannot change it while it runs."""
    text = variables(tmp_path, f"{INDEX}{TARGET}")["packhorse_circus_ini"]
    assert "path = /run/packhorse/shop/web.a.sock" in text
    assert "include_dir = /srv/apps/shop/conf.d" in text


def test_systemd_waits_longer_than_any_process_may_take_to_stop(tmp_path: Path) -> None:
    """Otherwise a shutdown would cut the work of a worker that was promised its time."""
    worker = "[targets.staging-eu.processes.worker]\nstop_timeout = 300.0\n"
    assert variables(tmp_path, f"{INDEX}{TARGET}")["packhorse_stop_timeout"] == 40
    assert variables(tmp_path, f"{INDEX}{TARGET}{worker}")["packhorse_stop_timeout"] == 310


def test_the_applications_python_is_told_with_the_builds_that_there_are(tmp_path: Path) -> None:
    """A target goes before the project's files; a host finds out itself whether it has it."""
    name = "cpython-3.13.9+20260101-x86_64-unknown-linux-gnu-install_only.tar.gz"
    (tmp_path / "builds").mkdir()
    (tmp_path / "builds" / name).touch()
    (tmp_path / ".python-version").write_text("3.12.1\n")
    assert variables(tmp_path, f"{INDEX}{TARGET}")["packhorse_python_version"] == "3.12"
    text = f'{INDEX}{TARGET}python = "3.13"\n[targets.staging-eu.provision]\npython_builds = "builds"\n'
    found = variables(tmp_path, text)
    assert found["packhorse_python_version"] == "3.13"
    assert found["packhorse_python_builds"] == {"x86_64": str(tmp_path / "builds" / name)}


def test_the_mirror_gets_the_projects_mirror_toml(tmp_path: Path) -> None:
    """The same file as for `mirror` anywhere else."""
    (tmp_path / "mirror.toml").write_text("threads = 7\n")
    found = variables(tmp_path, f'{INDEX}[mirror]\nhosts = ["pypi.example.com"]\n', "pypi.example.com")
    assert found["packhorse_mirror_settings"] == "threads = 7\n"
    assert found["packhorse_mirror_index_url"] == "https://pypi.example.com/company/prod/+simple/"


def test_a_server_may_be_a_mirror_and_an_application_host(tmp_path: Path) -> None:
    """A small team has one."""
    found = variables(tmp_path, f'{INDEX}{TARGET}[mirror]\nhosts = ["web1.example.com"]\n')
    assert {"packhorse_app", "packhorse_mirror_settings"} <= set(found)


def test_ansible_runs_nothing_that_stands_in_a_setting(tmp_path: Path) -> None:
    """A colleague's public key may end in a comment that is a template: it would run on this machine."""
    key = "ssh-ed25519 AAAA {{ lookup('pipe', 'id') }}"
    provision = f'[targets.staging-eu.provision]\nauthorized_keys = ["{key}"]\n'
    found = inventory.literal(variables(tmp_path, f"{INDEX}{TARGET}{provision}"))
    assert found["packhorse_authorized_keys"] == [{"__ansible_unsafe": key}]
    assert found["packhorse_app"] == "shop"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TARGET, "No company index"),
        ('[mirror]\nhosts = ["pypi.example.com"]\n', "what Packhorse needs"),
        (f'{INDEX}{TARGET}[targets.b]\nhosts = ["web1.example.com"]\n', "in two targets"),
    ],
)
def test_what_hosts_could_not_work_with_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """Here in a sentence, not there in the middle."""
    with pytest.raises(PackhorseError, match=said):
        inventory.of(settings(tmp_path, text), tmp_path)


DB = '[services.db]\nkind = "postgresql"\nhosts = ["db1"]\nuser = "root"\n[addresses]\ndb1 = "10.0.0.9"\n'
USERS = (
    '"web1.example.com" = "10.0.0.1"\nweb2 = "10.0.0.2"\n'
    '[targets.staging-eu]\nhosts = ["web1.example.com"]\nservices = ["db"]\n'
    '[targets.production]\nhosts = ["web2"]\nservices = ["db"]\n'
)


def declared(folder: Path, text: str, wanted: str | None, host: str = "db1") -> list[str]:
    """The databases that the role makes on `host` when `wanted` is provisioned."""
    found = inventory.of(settings(folder, f"{INDEX}{text}"), folder, wanted)["_meta"]["hostvars"][host]
    return [made["name"] for service in found["packhorse_services"] for made in service["databases"]]


def test_the_hosts_of_a_service_are_a_group_with_what_is_wanted_of_it(tmp_path: Path) -> None:
    """To prepare one target nobody has to know the addresses of another one's hosts."""
    found = inventory.of(settings(tmp_path, f"{INDEX}{DB}{USERS}"), tmp_path)
    assert found["service_hosts"] == {"children": ["service_db"]}
    assert found["service_db"] == {"hosts": ["db1"]}
    assert found["_meta"]["hostvars"]["db1"]["ansible_user"] == "root"
    both = ["shop_staging-eu_db", "shop_production_db"]
    assert declared(tmp_path, DB + USERS, None) == both
    assert declared(tmp_path, DB + USERS, "db") == both
    assert declared(tmp_path, DB + USERS, "production") == ["shop_production_db"]
    assert declared(tmp_path, DB + USERS, "mirror") == []


def test_a_host_of_the_application_may_have_its_databases(tmp_path: Path) -> None:
    """Ansible gets in as its target says, and several services come together."""
    text = (
        '[services.db]\nkind = "postgresql"\nhosts = ["web1.example.com"]\nuser = "root"\n'
        '[services.cache]\nkind = "redis"\nhosts = ["web1.example.com"]\n'
        '[targets.production]\nhosts = ["web1.example.com"]\nservices = ["db", "cache"]\n'
    )
    found = variables(tmp_path, f'{INDEX}{text}provision.user = "admin"\n')
    assert (found["packhorse_app"], found["ansible_user"], found["ansible_become"]) == ("shop", "admin", True)
    assert [service["kind"] for service in found["packhorse_services"]] == ["postgresql", "redis"]
    assert variables(tmp_path, INDEX + text)["ansible_user"] == "root"


def test_no_two_hosts_of_a_project_reboot_at_once(tmp_path: Path) -> None:
    """A database, a balancer and the first web host away together are the whole site away."""
    text = (
        '[addresses]\nweb1 = "10.0.0.1"\nweb2 = "10.0.0.2"\nlb1 = "10.0.0.3"\ndb1 = "10.0.0.4"\n'
        '[targets.production]\nhosts = ["web1", "web2"]\nservices = ["db"]\nbalancer.hosts = ["lb1"]\n'
        '[services.db]\nkind = "postgresql"\nhosts = ["db1"]\n'
        '[mirror]\nhosts = ["pypi", "web1"]\n[updates]\nreboot_at = "23:30"\n'
    )
    found = inventory.of(settings(tmp_path, INDEX + text), tmp_path)["_meta"]["hostvars"]
    assert {name: host["packhorse_updates"]["reboot_at"] for name, host in found.items()} == {
        "web1": "23:30",
        "web2": "23:40",
        "lb1": "23:50",
        "db1": "00:00",
        "pypi": "00:10",
    }


def test_many_hosts_reboot_closer_to_each_other(tmp_path: Path) -> None:
    """Ten minutes for each would meet the first one again on the next day."""
    hosts = ", ".join(f'"web{number}"' for number in range(200))
    text = f'[targets.production]\nhosts = [{hosts}]\ndomains = []\n[updates]\nreboot_at = "04:00"\n'
    found = inventory.of(settings(tmp_path, INDEX + text), tmp_path)["_meta"]["hostvars"].values()
    assert len({host["packhorse_updates"]["reboot_at"] for host in found}) == 200


def test_nginx_gets_patterns_of_static_files(tmp_path: Path) -> None:
    """They hold no quote and no brace of their own; the rest of the expression is ours."""
    static = '[static]\nfolder = "shop/static"\nurl = "/s.a/"\nhashed = ["a*.js"]\n'
    found = variables(tmp_path, f"{INDEX}{TARGET}{static}")["packhorse_application_static"]
    assert found == {"url": r"/s\x2ea/", "hashed": r"a.*\x2ejs"}
    assert variables(tmp_path, f"{INDEX}{TARGET}")["packhorse_application_static"] is None
