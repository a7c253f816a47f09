"""Ansible's inventory, made from the hosts of release.toml."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from packhorse.errors import PackhorseError
from release.agents import ssh
from release.config import company_index, root_login, static
from release.config.release_toml import ReleaseConfig
from release.config.target.provision import Provision
from release.config.target.target import Target
from release.host import runtime
from release.host.disk.layout import SERVER_ROOT, SERVER_RUN, SERVER_SOCKETS, Layout
from release.host.processes import circus_ini
from release.provision import (
    addresses,
    balancing,
    certificates,
    databases,
    firewall,
    monitoring,
    python_builds,
)

MIRROR = "mirror"  # the target of `release provision` that stands for the hosts of [mirror]
NOBODY = "no_hosts"  # a group without hosts
_HOST = "undeclared_host"  # the group of a host that was named instead of a target: no target's group

Variables = dict[str, Any]


def of(config: ReleaseConfig, project: Path, host: str | None = None) -> dict[str, Any]:
    """Make an inventory as `ansible-inventory --list` expects it: groups, and variables of every host.

    Groups: app_hosts and below it one for each target with hosts, see `group`; service_hosts and below it one
    for each service, see `service_group`; balancer_hosts alike, see `balancer_group`; copy_hosts, which get
    copies of backups; mirror_hosts. `host`: what is prepared, a target, a service, or a host that no target
    has; the hosts of services get what that needs, None: what all need.
    Raises PackhorseError when a host is in two targets, or when the hosts have no index to install from.
    """
    targets = {group(config, name): target for name, target in config.targets.items() if target.hosts}
    if host and host not in (MIRROR, *config.targets, *config.services):
        targets[group(config, host)] = config.target(host)
    variables = _apps(config, targets.values(), project)
    for name, mirror in _mirrors(config, project):
        variables[name] = {**variables.get(name, {}), **mirror}
    for name, led_to in balancing.hosts(config, project).items():
        variables[name] = {**variables.get(name, {}), "packhorse_balanced": led_to}
    balanced = {name: target.balancer for name, target in config.targets.items() if target.balancer}
    variables.update(_services(config, host, variables))
    every = {**config.targets, **({str(host): targets[_HOST]} if _HOST in targets else {})}
    for name, known in variables.items():
        variables[name] = {
            **known,
            **_login(config, name, every),
            **_every_host(config, project, name, every),
        }
    copies = [service.backup.copy_to for service in config.services.values() if service.backup.copy_to]
    variables = {**{name: _login(config, name, every) for name in copies}, **variables}
    return {
        "_meta": {"hostvars": variables},
        "app_hosts": {"children": list(targets)},
        "balancer_hosts": {"children": [balancer_group(name) for name in balanced]},
        **{balancer_group(name): {"hosts": each.hosts} for name, each in balanced.items()},
        "mirror_hosts": {"hosts": config.mirror.hosts if config.mirror else []},
        "service_hosts": {"children": [service_group(name) for name in config.services]},
        "copy_hosts": {"hosts": list(dict.fromkeys(copies))},
        NOBODY: {"hosts": []},
        **{service_group(name): {"hosts": service.hosts} for name, service in config.services.items()},
        **{name: {"hosts": target.hosts} for name, target in targets.items()},
    }


def _apps(config: ReleaseConfig, targets: Iterable[Target], project: Path) -> dict[str, Variables]:
    """The variables of the hosts that run the application. Raises PackhorseError for one in two targets."""
    found: dict[str, Variables] = {}
    for target in targets:
        for name in target.hosts or []:
            if name in found:
                raise PackhorseError(
                    f"{name} is in two targets, and would run {config.app} twice.",
                    "Keep it in one of them in release.toml.",
                )
            found[name] = _app(config, target, name, project)
    return found


def literal(value: Any) -> Any:  # noqa: ANN401  # as JSON has it
    """`value` for Ansible, which runs templates in text: a {{ lookup(…) }} in a colleague's public key, say.

    Ansible reads the object as text to be left alone (ansible.parsing.ajson, `__ansible_unsafe`).
    """
    if isinstance(value, str):
        return {"__ansible_unsafe": value} if "{" in value else value
    if isinstance(value, dict):
        return {name: literal(item) for name, item in value.items()}
    return [literal(item) for item in value] if isinstance(value, list) else value


def group(config: ReleaseConfig, target: str) -> str:
    """The group of the hosts of `target`."""
    if target == MIRROR:
        return "mirror_hosts"
    return f"target_{target.replace('-', '_')}" if target in config.targets else _HOST


def balancer_group(target: str) -> str:
    """The group of the balancers of `target`."""
    return f"balancer_{target.replace('-', '_')}"


def service_group(service: str) -> str:
    """The group of the hosts of a service."""
    return f"service_{service.replace('-', '_')}"


def _login(config: ReleaseConfig, host: str, targets: Mapping[str, Target]) -> Variables:
    """Variables of a login: as ssh would by itself, unless the file says who; root needs no sudo."""
    login = root_login.of(config, host, targets)
    user = {"ansible_user": login.user} if login.user else {}
    return {**user, "ansible_become": login.user != "root", "ansible_python_interpreter": login.python}


def _app(config: ReleaseConfig, target: Target, host: str, project: Path) -> Variables:
    if config.index is None:
        raise PackhorseError(
            "No company index is configured: the hosts install from it.",
            'Write index = "https://…/company/prod" into release.toml.',
        )
    layout = Layout(config.app, SERVER_ROOT, SERVER_RUN)
    python, builds = target.python or config.python, target.provision.python_builds
    in_front = target.balancer.hosts if target.balancer else []
    names = [name for each in (*in_front, host) for name in ssh.names(each)] if target.domains is None else []
    return {
        "packhorse_app": config.app,
        "packhorse_user": target.user or config.app,
        "packhorse_index_url": company_index.simple_url(config.index),
        "packhorse_run_user": _run_user(config, target),
        "packhorse_supervisor": str(Path(runtime.__file__).with_name("supervisor.py")),
        "packhorse_circus_ini": circus_ini.server_text(layout, SERVER_SOCKETS / config.app),
        "packhorse_domains": target.domains or [],
        "packhorse_default_domains": list(dict.fromkeys(names)),
        "packhorse_balancers": [address for each in in_front for address in addresses.of(config, each)],
        "packhorse_probe": balancing.probe(config),
        "packhorse_application_static": _static(config),
        "packhorse_url": balancing.url(target) if in_front else "",
        **{
            f"packhorse_{key}": value for key, value in certificates.of(config, project, target, host).items()
        },
        "packhorse_stop_timeout": _longest_stop(target) + 10,
        "packhorse_python_version": python or "",
        "packhorse_python_builds": python_builds.newest(project / builds, python)
        if builds and python
        else {},
        **_prefixed(target.provision, {"user", "python", "python_builds"}),
        "packhorse_authorized_keys": balancing.keys(
            config, host, target.user or config.app, target.provision.authorized_keys
        ),
    }


def _static(config: ReleaseConfig) -> Variables | None:
    """Patterns of PCRE for the path of [static] in URLs, and for names below it that have a hash."""
    if config.static is None:
        return None
    return {"url": static.literal(config.static.url), "hashed": config.static.hashed_pattern}


def _every_host(config: ReleaseConfig, project: Path, host: str, targets: Mapping[str, Target]) -> Variables:
    """Variables of every host: time, updates, monitoring, firewall."""
    return {
        "packhorse_project": config.app,
        "packhorse_updates": {"reboot_at": _reboot_at(config, host)} if config.updates else None,
        "packhorse_monitoring": monitoring.of(config, host, targets),
        "packhorse_firewall": firewall.of(config, project, host, targets),
        "packhorse_firewall_seconds": config.firewall.confirm_within if config.firewall else 60,
    }


def _reboot_at(config: ReleaseConfig, host: str) -> str | None:
    """Time for `host` to reboot: no two hosts of a project at once; ten minutes apart if a day has room."""
    if config.updates is None or config.updates.reboot_at is None:
        return None
    declared = [target.hosts or [] for target in config.targets.values()]
    declared += [target.balancer.hosts for target in config.targets.values() if target.balancer]
    declared += [service.hosts for service in config.services.values()]
    declared += [config.mirror.hosts if config.mirror else [], [host]]
    every = list(dict.fromkeys(name for names in declared for name in names))
    apart = max(1, min(10, 24 * 60 // len(every)))
    hours, minutes = config.updates.reboot_at.split(":")
    moment = (int(hours) * 60 + int(minutes) + apart * every.index(host)) % (24 * 60)
    return f"{moment // 60:02}:{moment % 60:02}"


def _run_user(config: ReleaseConfig, target: Target) -> str:
    """The user that runs the processes; no application can have the default name, for its underscore."""
    name = target.run_user or f"_{config.app}"
    if len(name) > 32 or name == (target.user or config.app):  # useradd(8)
        raise PackhorseError(
            f"{name} cannot run {config.app}: names of users have at most 32 characters, and who deploys "
            "must be another user.",
            'Set another one in release.toml, in the table of the target: run_user = "…"',
        )
    return name


def _longest_stop(target: Target) -> float:
    return max([target.graceful_timeout, *map(target.stop_timeout, target.processes.values())])


def _mirrors(config: ReleaseConfig, project: Path) -> Iterator[tuple[str, Variables]]:
    mirror = config.mirror
    if mirror is None:
        return
    index_url = mirror.index_url or (company_index.simple_url(config.index) if config.index else None)
    if index_url is None:
        raise PackhorseError(
            "Nothing says where the mirror's hosts install from what Packhorse needs.",
            'Write index_url = "https://…" below [mirror] in release.toml.',
        )
    settings = project / mirror.settings
    variables = {
        "packhorse_mirror_index_url": index_url,
        "packhorse_mirror_settings": settings.read_text() if settings.exists() else "",
        "packhorse_mirror_backups": mirror.backups,
        "packhorse_mirror_backup_at": mirror.backup_at,
        "packhorse_mirror_keep_backups": mirror.keep_backups,
        "packhorse_mirror_refresh_at": mirror.refresh_at or "",
        "packhorse_mirror_memory_max": mirror.memory_max,
    }
    for host in mirror.hosts:
        yield host, variables


def _services(
    config: ReleaseConfig, wanted: str | None, known: Mapping[str, Variables]
) -> dict[str, Variables]:
    """The variables of the hosts of services, with what is `known` of them as hosts of something else."""
    variables: dict[str, Variables] = {}
    for name, service in config.services.items():
        for host in service.hosts:
            before = variables.get(host) or known.get(host, {})
            declared = [*before.get("packhorse_services", []), *databases.of(config, name, wanted)]
            variables[host] = {**before, "packhorse_services": declared}
    return variables


def _prefixed(table: Provision, without: set[str]) -> Variables:
    return {f"packhorse_{key}": value for key, value in table.model_dump(exclude=without).items()}
