"""Numbers of an application's processes of each type on this host, kept from one release to the next."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from packhorse import files
from packhorse.errors import PackhorseError
from release.host.disk import releases
from release.host.disk.layout import Layout
from release.host.formats import procfile

MOST = 100
"""Processes of one type on one host."""


@dataclass(frozen=True)
class Scale:
    """Process type -> number of its processes; types in `stopped` have none until they are started again.

    A type without a number is new, and has none, but for `web`, which has one. Until a release has served
    (`settled`) all are new, and have one each: so a first deploy starts all that the Procfile has, and hosts
    that were deployed to before there were numbers go on.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    stopped: tuple[str, ...] = ()
    settled: bool = False

    @classmethod
    def of_json(cls, table: Mapping[str, Any]) -> Self:
        """The scale that `dataclasses.asdict` made `table` of. Raises PackhorseError for anything else."""
        try:
            made = cls(dict(table["counts"]), tuple(table["stopped"]), bool(table["settled"]))
        except (KeyError, TypeError, ValueError):
            raise PackhorseError("This is no scale.", "Find out where it comes from.") from None
        for process, count in made.counts.items():
            check(process, count)
        for process in made.stopped:
            check(process, 0)
        return made

    def count(self, process: str) -> int:
        """Number of processes of this type, unless it is stopped."""
        return self.counts.get(process, int(process == "web" or not self.settled))

    def wanted(self, process: str) -> int:
        """Number of processes of this type that should run."""
        return 0 if process in self.stopped else self.count(process)

    def is_new(self, process: str) -> bool:
        """Whether this type has no process only because it is new."""
        return process not in self.counts and self.count(process) == 0

    def with_counts(self, counts: Mapping[str, int]) -> Self:
        """The same with other numbers of some types."""
        return replace(self, counts={**self.counts, **counts})

    def with_stopped(self, processes: Iterable[str], *, stopped: bool) -> Self:
        """The same with some types stopped, or started again."""
        left = set(self.stopped) - set(processes)
        return replace(self, stopped=tuple(sorted(left | (set(processes) if stopped else set()))))

    def with_all_started(self) -> Self:
        """The same without a type that is stopped."""
        return replace(self, stopped=())


def check(process: str, count: int) -> None:
    """Raise PackhorseError for what is no process type, or no number of processes."""
    if not procfile.is_type(process) or process == "release":
        why = "it runs once, before a release starts" if process == "release" else "no Procfile could have it"
        raise PackhorseError(
            f'"{process}" is no process type that can be scaled: {why}.', "Name one of the Procfile: web=2"
        )
    if type(count) is not int or not 0 <= count <= MOST:
        raise PackhorseError(
            f"{process} cannot have {count!r} processes: a host runs 0 to {MOST} of one type.",
            "More go onto more hosts; gunicorn and others start several workers in each process.",
        )


def read(layout: Layout) -> Scale:
    """The scale on this host."""
    try:
        return Scale.of_json(json.loads(layout.scale.read_bytes()))
    except FileNotFoundError:
        return Scale()


def write(layout: Layout, scale: Scale) -> None:
    """Keep `scale`. Raises OSError (a full disk)."""
    files.write_whole(layout.scale, json.dumps(asdict(scale)).encode())


def settle(layout: Layout, number: int) -> None:
    """Keep the numbers with which release `number` serves: types that come later are new."""
    present = read(layout)
    if not present.settled:
        running = releases.read_manifest(layout, number).running
        counts = {process: present.count(process) for process in running}
        write(layout, replace(present.with_counts(counts), settled=True))


def serves(layout: Layout, number: int) -> bool:
    """Whether release `number` has processes that answer requests, on this host."""
    return releases.read_manifest(layout, number).serves and read(layout).wanted("web") > 0
