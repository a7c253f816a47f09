"""Say what comes after `release provision`: who may deploy, where passwords lie, URL, the next command."""

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packhorse import toml
from release.agents import ssh
from release.config.release_toml import ReleaseConfig
from release.config.servers import services
from release.host.disk.layout import SERVER_ROOT, SERVER_RUN, Layout
from release.host.processes import public_address
from release.host.system import certificate
from release.provision import inventory

CREDENTIALS = "/var/lib/packhorse-mirror/mirror/credentials.json"
_KEY = re.compile(r"\b(?:ssh|ecdsa|sk)-[\w@.-]+ ([\w+/=]{40,})(?: +(.*))?$", re.MULTILINE)


@dataclass(frozen=True)
class Prepared:
    """A host as the user that deploys sees it: its `keys`, by their comments; `refusal`: why not.

    `renewal`: why not every domain has a certificate.
    """

    host: str
    keys: tuple[str, ...] = ()
    url: str | None = None
    refusal: str | None = None
    renewal: str = ""


def lines(config: ReleaseConfig, project: Path, target: str, hosts: Sequence[str]) -> Iterator[str]:
    """The last lines of `release provision` for the `hosts` of `target`, which are prepared.

    Without any, only those of its services or balancers are.
    """
    if target == inventory.MIRROR and config.mirror:
        yield from of_mirror(toml.read(project / config.mirror.settings), hosts)
        return
    if target in config.services:
        yield from of_service(config, target)
        return
    used = config.target(target).services
    if not hosts:
        yield from _attach(used, target)
        return
    user = config.target(target).user or config.app
    with ThreadPoolExecutor(16) as pool:
        prepared = list(pool.map(lambda host: _ask(ssh.SshDestination(host, user, config.app)), hosts))
    name = target if target in config.targets else hosts[0]
    yield from of_target(prepared, user, name, used)


def _ask(destination: ssh.SshDestination) -> Prepared:
    """Ask the host as the user that deploys, if that may log in from here."""
    vhost = Layout(destination.app, SERVER_ROOT, SERVER_RUN).vhost
    renewal = certificate.renewal(destination.app)
    read = (
        f"cat .ssh/authorized_keys {vhost} {vhost.with_suffix('.tls')}; echo; echo {renewal}; cat {renewal}"
    )
    done = destination.run(["sh", "-c", f"{{ {read}; }} 2>/dev/null; true"])
    if done.status:
        failure = destination.explain(done.status, done.stderr, greeted=False)
        return Prepared(destination.name, refusal=f"{failure.message} {failure.hint}")
    text, _, renewed = done.stdout.rpartition(f"\n{renewal}\n")
    failed = certificate.renewal_failure(renewed) if certificate.is_renewed(text, destination.app) else ""
    return Prepared(destination.name, key_names(text), public_address.vhost_url(text), renewal=failed)


def key_names(text: str) -> tuple[str, ...]:
    """The comments of the keys in the text of an authorized_keys; of a key without one, its end."""
    return tuple(comment.strip() or f"…{key[-12:]}" for key, comment in _KEY.findall(text))


def of_service(config: ReleaseConfig, service: str) -> Iterator[str]:
    """The lines about a service, of which targets have databases."""
    users = [name for name, target in config.targets.items() if service in target.services]
    for target in users:
        yield f"{target} has the database {services.database(config.app, target, service)}."
    if not users:
        yield f'No target has a database of it: services = ["{service}"] below [targets.…] in release.toml.'
        return
    yield from _attach([service], users[0])


def _attach(used: Sequence[str], target: str) -> Iterator[str]:
    for service in used:
        yield f"Next, where its URL is not set yet: release services attach {service} {target}"


def of_target(
    prepared: Sequence[Prepared], user: str, target: str, used: Sequence[str] = ()
) -> Iterator[str]:
    """The lines about hosts of an application, which `user` deploys to, and the services that are `used`."""
    for keys in dict.fromkeys(each.keys for each in prepared if not each.refusal):
        names = ", ".join(each.host for each in prepared if each.keys == keys and not each.refusal)
        who = ", ".join(keys) or "nobody's authorized_keys: sshd gets them from elsewhere"
        yield f"{names}: deploys log in as {user}, with the keys of {who}."
    for each in prepared:
        if each.refusal:
            yield f"{each.host}: from here nobody can deploy yet: {each.refusal}"
    for each in prepared:
        if each.renewal:
            yield f"{each.host}: not every domain has a certificate{each.renewal}"
    urls = dict.fromkeys(each.url for each in prepared if each.url)
    if urls:
        yield f"URL of the application, once it is deployed: {' '.join(urls)}"
    elif not all(each.refusal for each in prepared):
        yield "No vhost of ours leads to the application: name the domains of the target in release.toml."
    yield from _attach(used, target)
    yield f"Next: release deploy {target}"


def of_mirror(settings: dict[str, Any], hosts: Sequence[str]) -> Iterator[str]:
    """The lines about the hosts of the company index; `settings`: those of mirror.toml."""
    for host in hosts:
        url = mirror_url(settings, host)
        yield f"{host}: the index is {url}/company/dev, for pip and uv {url}/company/dev/+simple/"
        yield f"{host}: users and passwords lie in {CREDENTIALS} there: ssh {host} sudo cat {CREDENTIALS}"
    url = mirror_url(settings, hosts[0])
    yield f'Next: index = "{url}/company/dev" in release.toml, release login, build and upload'


def mirror_url(settings: dict[str, Any], host: str) -> str:
    """The address at which clients find the mirror of `host`."""
    front = settings.get("front", {})
    if outside := settings.get("outside_url"):
        return str(outside).rstrip("/")
    tls = "tls_certificate" in front
    port = str(front.get("listen", "80")).rpartition(":")[2]
    name = front.get("server_name", "_")
    known = name if re.fullmatch(r"[\w.-]+", name) and name != "_" else next(iter(ssh.names(host)), host)
    return f"{'https' if tls else 'http'}://{known}{'' if port == ('443' if tls else '80') else f':{port}'}"
