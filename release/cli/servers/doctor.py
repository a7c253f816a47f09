"""`release doctor`: what would stop a build or a deploy, and what to do about it."""

import hashlib
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from packhorse import console
from release.cli import options, target_command
from release.cli.releases import deploy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from release.agents.connection import Event
    from release.config.release_toml import ReleaseConfig
    from release.doctor.report import Finding


@click.command()
@target_command.optional_argument
@options.index
@options.as_json
@click.pass_obj
def doctor(project: Path, target: str | None, index: str | None, *, as_json: bool) -> None:
    """Examine the hosts of TARGET, or without one the project; say what to do where something is wrong.

    \b
    On hosts: the way there, its key and the login, clock, agent, supervisor, application, disk, the index as
    it is reached from there, certificate, toolbox, where the hosts differ, databases and their backups, what
    balancers think of the hosts.
    Of a project: settings, pyproject.toml, Procfile, index, login, lock, git, the wheel that was built last.

    Nothing is changed. The exit status is 1 if a check has failed; a warning fails nothing.
    """
    findings = _of_target(project, target, index) if target else _of_project(project, index)
    from release.doctor import report

    if as_json:
        console.emit_json({"target": target, "checks": report.as_json(findings)})
    else:
        head = ("host", "check", "", "")
        rows = report.rows(findings)
        target_command.table(head if target else head[1:], rows if target else [row[1:] for row in rows])
    if error := report.error(findings):
        raise error
    if not as_json:
        console.echo(report.summary(findings))


def _of_target(project: Path, target: str, index: str | None) -> "Sequence[Finding]":
    command = target_command.begin(project, target, index)
    from release.config import company_index
    from release.doctor import target as judge
    from release.host.request import Doctor
    from release.provision import playbook

    received: dict[str, float] = {}

    def note(host: str, event: "Event") -> None:
        if event["event"] == "result":
            received[host] = time.time()

    known = deploy.known_source(command)
    url = f"{company_index.simple_url(known.url)}{command.project}/" if known else None
    toolbox = (playbook.HERE / "roles/app_host/files/toolbox.txt").read_bytes()
    with console.working(f"Examining {target}"), command.balancers(lambda _name, _text: None) as balancers:
        outcome = target_command.ask(
            *(command, Doctor, note),
            index_url=url,
            index_token=deploy.known_token(command, known),
            key=secrets.token_hex(),
            toolbox_sha256=hashlib.sha256(toolbox).hexdigest(),
        )
        thoughts = balancers.ask() if balancers else {}
    of_hosts = [*judge.findings(outcome.hosts, received, target), *judge.of_balancers(thoughts)]
    return [*of_hosts, *_of_services(command.settings, target)]


def _of_services(settings: "ReleaseConfig", target: str) -> "Iterator[Finding]":
    """The databases of the target, and their backups."""
    from release.doctor.report import Finding
    from release.services import databases

    used = settings.targets[target].services if target in settings.targets else []
    if used:
        hosts = list(dict.fromkeys(host for name in used for host in settings.services[name].hosts))
        rows = databases.rows(settings, databases.ask(settings, hosts))
        own = [row for row in rows if row.place and row.place.target == target]
        for row, check in zip(own, databases.checks(own, time.time()), strict=True):
            yield Finding(row.host, check)


def _of_project(project: Path, index: str | None) -> "Sequence[Finding]":
    from release.config import release_toml
    from release.doctor import project as examine
    from release.doctor import report
    from release.host.commands.inspect.doctor import OK

    settings = report.attempt(
        "settings", lambda: f"{release_toml.load(project, index=index).app} is its name"
    )
    checks = [settings]
    if settings.state == OK:
        with console.working(f"Looking at {project.name}"):
            checks += examine.checks(project, index)
    return [report.Finding("", check) for check in checks]
