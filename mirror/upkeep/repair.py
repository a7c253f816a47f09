"""Repair what a check of a mirror has found; never delete an upload."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote

import httpx

from mirror import api as http
from mirror.api import Api
from mirror.state import Folder
from mirror.upkeep.check import FETCH, QUARANTINE, REMOVE, RENDER, Problem

SILENCE = 60.0  # seconds without a byte
STAYS = "cannot be removed by the mirror: look at it, and remove it yourself"
NEVER = 1e12  # a last use that no file has yet


@dataclass(frozen=True)
class Outcome:
    """A problem, whether it is repaired, and what was done or why not."""

    problem: Problem
    repaired: bool = False
    done: str = ""


class Repair:
    """Repairs one mirror that serves at `url`; root has `password`, and may read what not all may."""

    def __init__(self, folder: Folder, api: Api, url: str, password: str = "") -> None:
        self._server = folder.server
        self._api = api
        self._url = url
        self._login = ("root", password) if password else None
        self._ways: Mapping[str | None, Callable[[Problem], Outcome]] = {
            FETCH: self._fetch,
            QUARANTINE: self._quarantine,
            REMOVE: self._remove,
            RENDER: self._render,
            None: Outcome,
        }

    def run(self, problems: Sequence[Problem], step: Callable[[], None]) -> list[Outcome]:
        """Repair what can be; calls `step` after each. Raises PackhorseError."""
        outcomes = []
        for problem in problems:
            outcomes.append(self._ways[problem.repair](problem))
            step()
        return outcomes

    def _fetch(self, problem: Problem) -> Outcome:
        """Remove the file and ask for it: the mirror downloads it, and holds it to the hash of before."""
        if not self._is_removed(problem):
            return Outcome(problem, done=STAYS)
        path = problem.path.removeprefix("+files/")
        try:
            with (
                http.client(SILENCE, self._login) as client,
                client.stream("GET", f"{self._url}/{quote(path, '/+')}") as answer,
            ):
                for _ in answer.iter_bytes():
                    pass  # it is stored before its end is sent
        except httpx.HTTPError as error:
            return Outcome(problem, done=f"could not be had again: {error}")
        if answer.status_code != 200:
            return Outcome(
                problem, done=f"could not be had again: {answer.status_code} {answer.reason_phrase}"
            )
        return Outcome(problem, repaired=True, done="downloaded again")

    def _quarantine(self, problem: Problem) -> Outcome:
        path = problem.path.removeprefix("+files/")
        moved = self._api.call("POST", "/+stored-files", {"quarantine": [path]})
        if path not in moved:
            return Outcome(problem, done="is gone meanwhile")
        where = self._server / moved[path]
        if not os.path.lexists(where):
            return Outcome(problem, done=f"could not be moved to {where}: the server's log tells more")
        is_orphan = problem.kind in {"orphan", "leftover"}
        return Outcome(
            problem, repaired=is_orphan, done=f"moved to {where}" + _upload_hint(is_orphan=is_orphan)
        )

    def _remove(self, problem: Problem) -> Outcome:
        if self._is_removed(problem):
            return Outcome(problem, repaired=True, done="removed")
        return Outcome(problem, done=STAYS)

    def _is_removed(self, problem: Problem) -> bool:
        """Remove the file; whether it is gone. A client may bring the next one at once."""
        stored = self._server / problem.path
        if problem.path.startswith("+files/"):
            path = problem.path.removeprefix("+files/")
            removed = self._api.call("POST", "/+damaged-files", {path: NEVER})
            return path in removed or not os.path.lexists(stored)
        try:
            stored.unlink(missing_ok=True)
        except OSError:
            return False
        return True

    def _render(self, problem: Problem) -> Outcome:
        self._api.call("POST", "/+stored-files", {"projects": [problem.path.split("/")[1]]})
        return Outcome(problem, repaired=True, done="removed: the next request renders it")


def _upload_hint(*, is_orphan: bool) -> str:
    return "" if is_orphan else "; upload it again, or put it back from a backup"


def as_json(outcomes: Sequence[Outcome], looks: int) -> dict[str, Any]:
    """All problems for scripts; keys are only ever added."""
    return {
        "checked": looks,
        "problems": [
            {**asdict(each.problem), "repaired": each.repaired, "done": each.done or None}
            for each in outcomes
        ],
    }


def line(outcome: Outcome) -> str:
    """A problem for people, and what was done about it."""
    problem = outcome.problem
    return f"{problem.kind}  {problem.path}: {problem.text}" + (f"; {outcome.done}" if outcome.done else "")


def summary(outcomes: Sequence[Outcome], looks: int) -> str:
    """A sentence that counts."""
    left = sum(not each.repaired for each in outcomes)
    if not outcomes:
        return f"{looks} files and pages are as they should be"
    problems = "1 problem" if len(outcomes) == 1 else f"{len(outcomes)} problems"
    return f"{looks} files and pages checked: {problems}, {len(outcomes) - left} of them repaired"


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """0: all is well, or is repaired; 1: something is not."""
    return 0 if all(each.repaired for each in outcomes) else 1
