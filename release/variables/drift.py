"""Compare what hosts of a target say about their configuration; advise what makes them equal."""

from collections.abc import Mapping
from typing import Any

from release.agents.controller import Outcome


def remedy(target: str, source: str = "HOST") -> str:
    """The command that lets hosts catch up with `source`, also where no deploy may: other values are set."""
    return f"release config sync {target} --from {source}"


def rows(outcome: Outcome) -> list[dict[str, Any]]:
    """The variables on the first host that has a release, or at least something for the first deploy."""
    answers = _answers(outcome)
    found: list[dict[str, Any]] = next(iter(answers.values()), {}).get("variables", [])
    return found


def names(outcome: Outcome) -> dict[str, list[str]]:
    """Host -> the variables in which it differs from the first one; hosts that do not differ are left out.

    A host that is new takes what the others have.
    """
    digests = {
        host: {row["name"]: row["digest"] for row in answer["variables"]}
        for host, answer in _answers(outcome).items()
    }
    first: Mapping[str, str] = next(iter(digests.values()), {})
    different = {
        host: sorted(name for name in first.keys() | there.keys() if first.get(name) != there.get(name))
        for host, there in digests.items()
    }
    return {host: variables for host, variables in different.items() if variables}


def sentence(outcome: Outcome) -> str:
    """Differences between hosts as a sentence, "" when all agree."""
    first = next(iter(_answers(outcome)), "")
    parts = [f"{host} in {', '.join(variables)}" for host, variables in names(outcome).items()]
    return f"Hosts differ from {first}: {'; '.join(parts)}." if parts else ""


def _answers(outcome: Outcome) -> dict[str, Mapping[str, Any]]:
    """Host -> what it answers; without those that have nothing yet, and those that have failed."""
    return {host: last for host, last in outcome.results.items() if last["release"] or last["variables"]}
