"""Compare how many processes of each type the hosts of a target have; advise what makes them equal."""

from collections.abc import Mapping
from typing import Any

from release.deploy.controller import Outcome


def differing(outcome: Outcome) -> dict[str, dict[str, int]]:
    """Process type -> host -> number, of the types whose number is not the same on all hosts."""
    answers = _answers(outcome)
    types = dict.fromkeys(process for scaled in answers.values() for process in scaled)
    numbers = {
        process: {host: scaled[process] for host, scaled in answers.items() if process in scaled}
        for process in types
    }
    return {process: hosts for process, hosts in numbers.items() if len(set(hosts.values())) > 1}


def remedy(outcome: Outcome, target: str) -> str:
    """Sentence about hosts that differ, with the command that mends it; "" when all agree."""
    found = differing(outcome)
    if not found:
        return ""
    each = "; ".join(
        f"{process} {', '.join(f'{count} on {host}' for host, count in hosts.items())}"
        for process, hosts in found.items()
    )
    first = " ".join(f"{process}={next(iter(hosts.values()))}" for process, hosts in found.items())
    return (
        f"Hosts have different numbers of processes: {each}. Make them equal: release scale {target} {first}"
    )


def _answers(outcome: Outcome) -> dict[str, Mapping[str, Any]]:
    answers = {host.name: host.last for host in outcome.hosts if host.last and host.last["event"] == "result"}
    return {host: last["scale"] for host, last in answers.items() if last.get("scale")}
