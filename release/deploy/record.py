"""Merge the journals of all hosts of a target into lines for people."""

from collections.abc import Iterator, Mapping
from typing import Any

from release.deploy.controller import Outcome

_OUTCOMES = {"good": "deployed", "failed": "failed", "trial": "on trial"}


def lines(outcome: Outcome) -> Iterator[str]:
    """A line for each entry, in order of time: when, where (of several hosts), by whom, what."""
    answers = [(host.name, host.last) for host in outcome.hosts if host.last and "entries" in host.last]
    rows = sorted(
        ((str(entry["at"]), host, entry) for host, answer in answers for entry in answer["entries"]),
        key=lambda row: row[0],
    )
    width = max((len(host) for host, _ in answers), default=0)
    for at, host, entry in rows:
        where = f"{host:{width}}  " if len(outcome.hosts) > 1 else ""
        yield f"{at}  {where}{entry['by']}  {sentence(entry)}"


def sentence(entry: Mapping[str, Any]) -> str:
    """Description of an entry of a journal: a command, or what became of a release."""
    if entry["state"] == "command":
        return str(entry["reason"])
    release = f"release {entry['release']} ({entry['version']})"
    what = _OUTCOMES.get(entry["state"], f"release {entry['state']}")  # else of the release phase
    why = entry["reason"] or (f"changed {entry['changed']}" if entry["changed"] else "")
    return f"{release}: {what}{f'; {why}' if why else ''}"
