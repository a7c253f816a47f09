"""Ask hosts which ports their firewall has open, and compare that with release.toml."""

import subprocess
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic
from pydantic import Field

from packhorse import settings
from release.agents import ssh
from release.config.release_toml import ReleaseConfig
from release.provision import inventory

COMMAND = ("/usr/local/sbin/packhorse-firewall", "show")
LARGEST_ANSWER = 1_000_000
SECONDS = 60.0


class OpenPort(settings.Settings):
    """A port that is open to the networks `sources`, none: to everybody."""

    protocol: str
    port: str
    sources: list[str] = Field(alias="from")
    why: str


class Project(settings.Settings):
    """Rules that a project wants on a host."""

    ssh_from: list[str]
    allow: list[OpenPort]


class FirewallStatus(settings.Settings):
    """State of a firewall, as `packhorse-firewall show` prints it."""

    loaded: bool
    on_trial: bool
    ssh_ports: list[int]
    ssh_from: list[str]
    projects: dict[str, Project]
    others: list[str]


@dataclass(frozen=True)
class HostFirewall:
    """The firewall of `host`; `answer`: None where there is none of ours, or where `error` is why not.

    `wanted`: what release.toml says of this project.
    """

    host: str
    project: str
    wanted: Project | None
    answer: FirewallStatus | None = None
    error: str | None = None

    @property
    def is_current(self) -> bool:
        """Whether the host has what release.toml says, and lets in nothing else."""
        known = self.answer.projects if self.answer else {}
        loaded = bool(self.answer and self.answer.loaded)
        return not self.error and known.get(self.project) == self.wanted and loaded == bool(known)

    def rules(self) -> Iterator[tuple[str, OpenPort]]:
        """The project and the rule of every open port; ssh is of all projects together."""
        if self.answer and self.answer.projects and self.answer.loaded:
            for port in self.answer.ssh_ports:
                sources = {"from": self.answer.ssh_from}
                yield "", OpenPort(protocol="tcp", port=str(port), why="ssh", **sources)
            for name, project in self.answer.projects.items():
                yield from ((name, rule) for rule in project.allow)

    def notes(self, target: str) -> Iterator[str]:
        """Notes for people besides the ports."""
        if self.error:
            yield self.error
            return
        if not (self.answer and self.answer.loaded):
            yield "Packhorse has no firewall here: every port is open, unless something else closes it."
        if not self.is_current:
            yield f"release.toml says something else: release provision {target}"
        if self.answer and self.answer.on_trial:
            yield "other rules are on trial at this moment, and go away unless somebody confirms them"
        for other in self.answer.others if self.answer else ():
            yield f"the table {other} refuses, too, what it does not let in itself: nft list table {other}"


def of(config: ReleaseConfig, project: Path, target: str, hosts: Sequence[str]) -> list[HostFirewall]:
    """The state of each of `hosts`, which are prepared with `target`, in their order."""
    variables = inventory.of(config, project, target)["_meta"]["hostvars"]
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(lambda host: _of_host(config.app, host, variables[host]), hosts))


def _of_host(app: str, host: str, variables: dict[str, Any]) -> HostFirewall:
    found = variables["packhorse_firewall"]
    wanted = None if found is None else Project.model_validate(found)
    user = variables.get("ansible_user")
    status, said = _run(ssh.as_root(host, user, COMMAND))
    if status == 0:
        try:
            return HostFirewall(host, app, wanted, FirewallStatus.model_validate_json(said))
        except pydantic.ValidationError:
            return HostFirewall(
                host, app, wanted, error="something else than packhorse-firewall answers there"
            )
    text = said.decode("utf-8", "replace").strip()
    if status != 255 and ("not found" in text or "No such file" in text):
        return HostFirewall(host, app, wanted)
    if status == 255:
        reason = ssh.root_failure(host, user, text)
        return HostFirewall(host, app, wanted, error=f"{reason.message} {reason.hint}")
    last = text.rpartition("\n")[2][:500] or "it gives no reason"
    return HostFirewall(host, app, wanted, error=f"its firewall cannot be read (status {status}): {last}")


def _run(command: Sequence[str]) -> tuple[int, bytes]:
    """The status of `command` and the beginning of what it prints; after SECONDS it is killed."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout  # noqa: S101  # for mypy
        timer = threading.Timer(SECONDS, process.kill)
        timer.start()
        try:
            said = process.stdout.read(LARGEST_ANSWER)
            if len(said) == LARGEST_ANSWER:
                process.kill()
            return process.wait(), said
        finally:
            timer.cancel()
