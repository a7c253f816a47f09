"""Prepare the hosts of a target with Ansible, run as a program with our playbook."""

import hashlib
import importlib.util
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata, resources
from pathlib import Path

from packhorse.errors import PackhorseError
from release.agents import ssh
from release.config.release_toml import ReleaseConfig
from release.provision import index_tokens, inventory, own_wheel

HERE = Path(str(resources.files("release") / "ansible"))

# Ansible keeps nearly all that it makes, and forks for each task on each host: with CPython's own threshold a
# seventh of its time goes into looking for garbage among the same objects again and again.
ANSIBLE = """
import gc, runpy
gc.set_threshold(100_000, 50, 50)
runpy.run_module("ansible", run_name="__main__", alter_sys=True)
"""


def group(config: ReleaseConfig, target: str) -> str:
    """The group of Ansible's hosts that `target` means. Raises PackhorseError for a target without hosts."""
    if target == inventory.MIRROR:
        if config.mirror is None:
            raise PackhorseError(
                "No host of the mirror is declared.", "Declare them in release.toml: [mirror]"
            )
    elif target in config.services:
        return inventory.NOBODY
    elif not config.target(target).hosts:
        raise PackhorseError(
            f"{target} has no hosts to prepare.",
            f'Name them in release.toml: [targets.{target}] hosts = ["…"]',
        )
    return inventory.group(config, target)


def hosts(config: ReleaseConfig, target: str) -> list[str]:
    """The hosts of `target` itself, which `group` has let pass."""
    if target == inventory.MIRROR:
        return config.mirror.hosts if config.mirror else []
    if target in config.services:
        return config.services[target].hosts
    return config.target(target).hosts or []


def all_hosts(config: ReleaseConfig, target: str) -> list[str]:
    """The hosts that are prepared with `target`: its own, those of its services, and its balancers."""
    needed = [host for name in services(config, target) for host in config.services[name].hosts]
    return list(dict.fromkeys([*hosts(config, target), *needed, *balancers(config, target)]))


def services(config: ReleaseConfig, target: str) -> list[str]:
    """The services whose hosts are prepared with `target`, or that itself."""
    if target == inventory.MIRROR:
        return []
    return [target] if target in config.services else config.target(target).services


def balancers(config: ReleaseConfig, target: str) -> list[str]:
    """The hosts in front of those of `target`."""
    balanced = target != inventory.MIRROR and target not in config.services and config.target(target).balancer
    return balanced.hosts if balanced else []


def command(variables: Mapping[str, str], options: Sequence[str]) -> list[str]:
    """The argument list of ansible-playbook."""
    return [
        *[sys.executable, "-Ic", ANSIBLE, "playbook"],
        *["--inventory", str(HERE / "inventory.sh")],
        *["--extra-vars", json.dumps(variables)],
        *options,
        str(HERE / "site.yml"),
    ]


def environment(
    project: Path, target: str, index: str | None, inherited: Mapping[str, str]
) -> dict[str, str]:
    """Environment of ansible-playbook: our settings unless the user has some, and what inventory.sh needs.

    `index`: the company index, when it is not that of release.toml.
    """
    config = inherited.get(ssh.CONFIG)
    return {
        "ANSIBLE_CONFIG": str(HERE / "ansible.cfg"),
        **({"ANSIBLE_SSH_COMMON_ARGS": shlex.join(["-F", config])} if config else {}),
        **({} if "ANSIBLE_CONFIG" in inherited else _fast_strategy()),
        **inherited,
        "PACKHORSE_PYTHON": sys.executable,
        # Options of `release inventory`, which inventory.sh runs without any.
        "RELEASE_PROJECT": str(project),
        "RELEASE_INVENTORY_TARGET": target,
        **({"RELEASE_INDEX": index} if index else {}),
    }


def _fast_strategy() -> dict[str, str]:
    """Let Mitogen run the tasks where it is installed: one Python per host instead of one per task."""
    found = importlib.util.find_spec("ansible_mitogen")
    if found is None or not found.submodule_search_locations:
        return {}
    (package,) = found.submodule_search_locations
    return {
        "ANSIBLE_STRATEGY": "mitogen_linear",
        "ANSIBLE_STRATEGY_PLUGINS": str(Path(package) / "plugins/strategy"),
    }


def run(
    config: ReleaseConfig,
    project: Path,
    target: str,
    options: Sequence[str],
    tokens: Callable[[], Mapping[str, str]] = dict,
) -> None:
    """Prepare the hosts of `target`; what Ansible prints goes to the terminal.

    `tokens` finds those of `index_tokens.of`; without any, hosts install from an index for everybody.
    Raises PackhorseError when Ansible is not installed, or says that it failed.
    """
    chosen = group(config, target)
    inventory.of(config, project, target)  # what is wrong with it is said in two lines, not by Ansible
    if importlib.util.find_spec("ansible") is None:
        raise PackhorseError("Ansible is not installed here.", "Install it: pip install ansible-core mitogen")
    with tempfile.TemporaryDirectory() as scratch:
        variables = {
            "packhorse_group": chosen,
            "packhorse_services_group": ":".join(map(inventory.service_group, services(config, target)))
            or inventory.NOBODY,
            "packhorse_balancer_group": inventory.balancer_group(target)
            if balancers(config, target)
            else inventory.NOBODY,
            **(_own(config, Path(scratch)) if target == inventory.MIRROR else {}),
        }
        settings = environment(project, target, config.index, os.environ) | index_tokens.environment(tokens())
        done = subprocess.run(command(variables, options), env=settings, check=False)
    if done.returncode != 0:
        raise PackhorseError(
            f"Ansible failed (status {done.returncode}): not every host of {target} is prepared.",
            "Correct what it says above, and run the command again: what is done stays done.",
        )


def _own(config: ReleaseConfig, scratch: Path) -> dict[str, str]:
    """Name the wheel of Packhorse for Ansible. Raises PackhorseError for a wrong version."""
    required, present = config.mirror and config.mirror.version, metadata.version("packhorse")
    if required and required != present:
        raise PackhorseError(
            f"release.toml wants Packhorse {required} on the mirror's hosts, and {present} runs here.",
            "Run this command from that version, or change mirror.version in release.toml.",
        )
    wheel = own_wheel.make(scratch)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return {"packhorse_wheel": str(wheel), "packhorse_wheel_sha256": digest}
