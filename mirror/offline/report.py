"""The report of a prefetch: counts, sizes, and every failure with its reason."""

from collections.abc import Sequence
from typing import Any

from mirror.lockfiles.lock import Elsewhere
from mirror.offline.prefetch import Result


def as_json(results: Sequence[Result], elsewhere: Sequence[Elsewhere]) -> dict[str, Any]:
    """The report for scripts; keys are only ever added."""
    there = [result for result in results if not result.problem]
    new = [result for result in there if result.new]
    return {
        "files": len(there),
        "bytes": sum(result.size for result in there),
        "new": {"files": len(new), "bytes": sum(result.size for result in new)},
        "already_there": len(there) - len(new),
        "failed": [
            {
                "project": result.pin.project,
                "version": result.pin.version,
                "file": result.filename or None,
                "reason": result.problem,
            }
            for result in _failed(results)
        ],
        "left_out": [{"project": each.project, "source": each.source} for each in elsewhere],
    }


def as_text(results: Sequence[Result]) -> str:
    """A sentence that counts the files."""
    there = [result for result in results if not result.problem]
    new = [result for result in there if result.new]
    total, came = (sum(result.size for result in some) / 1e6 for some in (there, new))
    return (
        f"{len(there)} files with {total:.1f} MB are in the cache: {len(new)} new with {came:.1f} MB,"
        f" {len(there) - len(new)} already there, {len(_failed(results))} failed"
    )


def failures(results: Sequence[Result]) -> list[str]:
    """A line for each file that is not in the cache: all at once, as one may have a single chance."""
    return [f"{result}: {result.problem}" for result in _failed(results)]


def _failed(results: Sequence[Result]) -> list[Result]:
    return [result for result in results if result.problem]
