"""Merge the journals of all hosts of a target into lines for people."""

from collections.abc import Iterator, Mapping
from typing import Any

from packhorse.errors import PackhorseError
from release.agents.connection import checked_answer
from release.agents.controller import Outcome

_OUTCOMES = {"good": "deployed", "failed": "failed", "trial": "on trial"}


def lines(outcome: Outcome) -> Iterator[str]:
    """A line for each entry, in order of time: when, where (of several hosts), by whom, what.

    Raises PackhorseError, after the others, for a host whose answer cannot be right: it may be compromised.
    """
    found = [(host.name, host.last) for host in outcome.hosts if host.last and "entries" in host.last]
    rows: list[tuple[str, str, str]] = []
    wrong = []
    for host, answer in found:
        try:
            with checked_answer(host):
                entries = answer["entries"]
                rows += [(str(entry["at"]), host, f"{entry['by']}  {sentence(entry)}") for entry in entries]
        except PackhorseError as error:
            wrong.append(error)
    width = max((len(host) for host, _ in found), default=0)
    for at, host, text in sorted(rows, key=lambda row: row[0]):
        where = f"{host:{width}}  " if len(outcome.hosts) > 1 else ""
        yield f"{at}  {where}{text}".replace("\n", " ")
    if wrong:
        raise wrong[0]


def sentence(entry: Mapping[str, Any]) -> str:
    """Description of an entry of a journal: a command, or what became of a release."""
    if entry["state"] == "command":
        return str(entry["reason"])
    release = f"release {entry['release']} ({entry['version']})"
    what = _OUTCOMES.get(entry["state"], f"release {entry['state']}")  # else of the release phase
    why = entry["reason"] or (f"changed {entry['changed']}" if entry["changed"] else "")
    return f"{release}: {what}{f'; {why}' if why else ''}"
