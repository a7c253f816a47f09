"""Measure what processes use, with all that they have started: processor time and memory, from /proc."""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_TICKS, _PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Stat:
    """A process (proc_pid_stat(5)): seconds of `cpu`, its start in seconds after the boot, bytes."""

    parent: int
    session: int
    cpu: float
    started: float
    memory: int


def table() -> dict[int, Stat]:
    """All processes, also those of other users: their numbers are no secret."""
    found = {}
    for name in os.listdir(PROC):  # noqa: PTH208  # a hundred times as fast: there may be thousands
        if name.isdecimal():
            with contextlib.suppress(OSError):  # it has ended
                found[int(name)] = parsed((PROC / name / "stat").read_bytes())
    return found


def parsed(text: bytes) -> Stat:
    """The line of a process: the name in parentheses may hold anything."""
    fields = text.rpartition(b")")[2].split()
    user, system = int(fields[11]), int(fields[12])
    return Stat(
        parent=int(fields[1]),
        session=int(fields[3]),
        cpu=(user + system) / _TICKS,
        started=int(fields[19]) / _TICKS,
        memory=int(fields[21]) * _PAGE,
    )


def tree(processes: Mapping[int, Stat], root: int) -> set[int]:
    """`root`, its descendants, and its session: circus gives each process one, which orphans stay in."""
    found = {pid for pid, stat in processes.items() if root in {pid, stat.session}}
    while more := {pid for pid, stat in processes.items() if stat.parent in found} - found:
        found |= more
    return found


def boot_time() -> float:
    """The time of the boot, in seconds since the epoch."""
    lines = (PROC / "stat").read_text().splitlines()
    return float(next(line for line in lines if line.startswith("btime ")).split()[1])
