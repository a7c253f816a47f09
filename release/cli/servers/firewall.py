"""The command that shows which ports of hosts are open: firewall."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from packhorse import console
from packhorse.errors import PackhorseError
from release.cli import options, target_command

if TYPE_CHECKING:
    from release.provision.firewall_state import HostFirewall


@click.command()
@target_command.target_name
@options.as_json
@click.pass_obj
def firewall(project: Path, target: str, *, as_json: bool) -> None:
    """Show which ports the hosts of TARGET let in, from where, and why.

    \b
      release firewall production
      release firewall mirror --json

    It asks the hosts, those of services and balancers too, as the user that `release provision` logs in as.
    What release.toml says in [firewall] gets there by `release provision TARGET`. Nothing is changed.
    """
    from release.config import release_toml
    from release.provision import firewall_state, playbook

    config = release_toml.load(project)
    playbook.group(config, target)  # refuses a target without hosts
    with console.working(f"Asking the hosts of {target}"):
        states = firewall_state.of(config, project, target, playbook.all_hosts(config, target))
    if as_json:
        console.emit_json({"target": target, "hosts": [_as_json(state) for state in states]})
    else:
        _print(states, target)
    failed = [state for state in states if state.error]
    if failed:
        raise PackhorseError(
            f"{', '.join(state.host for state in failed)}: not asked. {failed[0].error}",
            "Correct that, and run the command again.",
        )


def _print(states: "list[HostFirewall]", target: str) -> None:
    head = ("host", "port", "from", "why", "project")
    rows = [
        (
            state.host,
            f"{rule.port}/{rule.protocol}",
            " ".join(rule.sources) or "everywhere",
            rule.why,
            name or "-",
        )
        for state in states
        for name, rule in state.rules()
    ]
    if rows:
        target_command.table(head, rows)
    for state in states:
        for note in state.notes(target):
            console.echo(f"{state.host}: {note}")


def _as_json(state: "HostFirewall") -> dict[str, Any]:
    return {
        "host": state.host,
        "error": state.error,
        "loaded": bool(state.answer and state.answer.loaded),
        "current": state.is_current,
        "on_trial": bool(state.answer and state.answer.on_trial),
        "rules": [
            {"project": name or None, **rule.model_dump(by_alias=True)} for name, rule in state.rules()
        ],
        "other_tables": list(state.answer.others) if state.answer else [],
    }
