"""The report of a prefetch: counts, sizes, and every failure with its reason."""

from collections.abc import Sequence
from typing import Any

from mirror.lockfiles.lock import Elsewhere
from mirror.offline.prefetch import Result
from mirror.offline.resolve import Unresolved
from packhorse import quantities

Results = Sequence[Result | Unresolved]


def as_json(results: Results, elsewhere: Sequence[Elsewhere]) -> dict[str, Any]:
    """The report for scripts; keys are only ever added."""
    there, new = _there(results), _new(results)
    return {
        "files": len(there),
        "bytes": sum(result.size for result in there),
        "new": {"files": len(new), "bytes": sum(result.size for result in new)},
        "already_there": len(there) - len(new),
        "failed": [_failure(result) for result in _failed(results)],
        "left_out": [{"project": each.project, "source": each.source} for each in elsewhere],
    }


def as_text(results: Results) -> str:
    """A sentence that counts the files."""
    there, new = _there(results), _new(results)
    total, came = (quantities.shown(sum(result.size for result in some)) for some in (there, new))
    return (
        f"{len(there)} files with {total} are in the cache: {len(new)} new with {came},"
        f" {len(there) - len(new)} already there, {len(_failed(results))} failed"
    )


def failures(results: Results) -> list[str]:
    """A line for each file that is not in the cache: all at once, as one may have a single chance."""
    return [_line(each) for each in _failed(results)]


def missing(results: Results) -> str:
    """A sentence for an error, without its full stop."""
    failed = len(_failed(results))
    return f"{failed} of {failed + len(_there(results))} files are not in the cache"


def _there(results: Results) -> list[Result]:
    return [each for each in results if isinstance(each, Result) and not each.problem]


def _new(results: Results) -> list[Result]:
    return [each for each in _there(results) if each.new]


def _failed(results: Results) -> list[Result | Unresolved]:
    """Failures in the order of their lines, each line once: several locks may pin the same."""
    failed = {_line(each): each for each in results if isinstance(each, Unresolved) or each.problem}
    return [failed[line] for line in sorted(failed)]


def _line(failed: Result | Unresolved) -> str:
    return str(failed) if isinstance(failed, Unresolved) else f"{failed}: {failed.problem}"


def _failure(failed: Result | Unresolved) -> dict[str, str | None]:
    if isinstance(failed, Unresolved):
        return {
            "project": None,
            "version": None,
            "file": None,
            "wanted": failed.wanted,
            "reason": failed.reason,
        }
    return {
        "project": failed.pin.project,
        "version": failed.pin.version,
        "file": failed.filename or None,
        "reason": failed.problem,
    }
