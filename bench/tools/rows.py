"""Rows of measured figures, and their output as a table and as JSON."""

import dataclasses
import json
import operator
from collections.abc import Sequence
from pathlib import Path

import rich.console
import rich.table

COMPARE = {">=": operator.ge, "<=": operator.le}


@dataclasses.dataclass(frozen=True)
class Row:
    """A figure: ours and the rival's in `unit`, the number that the goal is about, and the goal.

    `figure` is what `goal` (such as ">= 5" or "<= 0") is compared with: usually a ratio of the two.
    """

    name: str
    unit: str
    ours: float
    rival: float | None
    figure: float
    goal: str

    @property
    def met(self) -> bool:
        """Whether the figure reaches the goal."""
        sign, number = self.goal.split()
        return bool(COMPARE[sign](self.figure, float(number)))


def show(title: str, rows: Sequence[Row]) -> None:
    """Print the table of a benchmark: name, ours, rival, ratio, goal, met or short."""
    table = rich.table.Table("name", "unit", "ours", "rival", "ratio", "goal", "", title=title)
    for row in rows:
        rival = "" if row.rival is None else f"{row.rival:.4g}"
        verdict = "[green]met[/]" if row.met else "[red]short[/]"
        table.add_row(row.name, row.unit, f"{row.ours:.4g}", rival, f"{row.figure:.3g}", row.goal, verdict)
    rich.console.Console(width=120).print(table)


def keep(rows: Sequence[Row], path: Path) -> None:
    """Write the rows to `path` as a JSON list, one object per row."""
    path.write_text(
        json.dumps([{**dataclasses.asdict(row), "met": row.met} for row in rows], indent=2) + "\n"
    )
