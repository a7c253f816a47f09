"""Find out which databases a target is attached to: the variables that lead to them."""

from pathlib import Path
from typing import TYPE_CHECKING

from packhorse.errors import PackhorseError
from release.cli.config import changes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from release.services import answers, reach
    from release.services.databases import KnownDatabase, Place


def names(project: Path, rows: "Sequence[KnownDatabase]") -> dict[str, list[str] | None]:
    """Database -> the variables of its target that lead to it; None: the hosts of the target do not say."""
    known: dict[str, list[str] | None] = {}
    values: dict[str, dict[str, str] | None] = {}
    for row in rows:
        if row.place is None:
            continue
        target = row.place.target
        if target not in values:
            try:
                values[target] = variables(project, target)
            except PackhorseError:
                values[target] = None
        there = values[target]
        known[row.name] = None if there is None else leading_to(there, row.name)
    return known


def variables(project: Path, target: str) -> dict[str, str]:
    """The variables of a target with their values, from the first host that answers; PackhorseError."""
    from release.agents.connection import checked_answer
    from release.variables import drift

    command, outcome = changes.read(project, target, reveal=True)
    if not outcome.results:
        command.finish(outcome)
    with checked_answer(f"A host of {target}"):
        return {str(row["name"]): str(row["value"]) for row in drift.rows(outcome)}


def leading_to(values: dict[str, str], name: str) -> list[str]:
    """The variables whose values are URLs with a login of database `name`."""
    logins = tuple(f"//{name}__{which}:" for which in "ab")
    return sorted(key for key, value in values.items() if any(login in value for login in logins))


def credentials(place: "Place", host: "reach.Host", command: str) -> "answers.ServiceCredentials":
    from release.services import answers, reach

    return answers.read(
        answers.ServiceCredentials, host.ask(reach.SERVICE, command, {"name": place.name}), host.name
    )
