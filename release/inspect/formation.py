"""Show the processes that hosts of a target have, and compare how many there are of each type."""

from collections.abc import Iterator, Mapping
from typing import Any

from release.agents.controller import Outcome

HEAD = ("process", "", "pid", "release", "state", "since", "restarts", "cpu", "memory")


def rows(result: Mapping[str, Any]) -> list[list[str]]:
    """Rows under HEAD: one for each process of a host, and one for a type that has none or not enough."""
    table = []
    for row in result["processes"]:
        there, wanted = row["each"], row["wanted"]
        restarts = "?" if row["restarts"] is None else str(row["restarts"])
        head, tail = [row["process"]], [str(row["release"]), row["state"]]
        for position, one in enumerate(there, 1):
            used = [one["since"], restarts, f"{one['cpu']:.0f} %", f"{one['memory'] / 2**20:.0f} MB"]
            table.append([*head, f"{position}/{max(wanted, len(there))}", str(one["pid"]), *tail, *used])
        if len(there) < wanted or not there:
            state = "not running" if there else row["state"]
            missing = ["-", str(row["release"]), state, "-", restarts if wanted else "-", "-", "-"]
            table.append([*head, f"{len(there)}/{wanted}" if not there else "-", *missing])
    return table


def loops(result: Mapping[str, Any]) -> Iterator[str]:
    """Texts about processes of a host that end again and again: how, and the last lines that they wrote."""
    for row in result["processes"]:
        if row["state"] == "crash loop":
            count = f"{row['restarts']} restart{'s' if row['restarts'] != 1 else ''} in the last hour"
            yield f"{row['process']} keeps ending, the last time {_ending(row['status'])}: {count}. It wrote:"
            yield from (f"  {line}" for line in row["lines"] or ["(nothing)"])


def _ending(status: int | None) -> str:
    if status is None:
        return "nobody knows how"
    return f"with status {status}" if status >= 0 else f"by signal {-status}"


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
    scales = {host: last.get("scale") for host, last in outcome.results.items()}
    return {
        host: scale
        for host, scale in scales.items()
        if isinstance(scale, dict) and all(isinstance(count, int) for count in scale.values())
    }
