"""The report of a prefetch: counts, sizes, and every failure with its reason."""

import re
from collections.abc import Sequence
from typing import Any

from mirror.lockfiles.lock import Elsewhere
from mirror.offline.prefetch import Result
from mirror.offline.resolve import Unresolved
from packhorse import quantities

Results = Sequence[Result | Unresolved]
OUT_OF_REACH = {502, 503, 504}  # statuses of the mirror while its upstream has nothing for it
_PAGE = re.compile(r" for /[^\s:]*/")
MOST_ALIKE = 5  # names in a line of those that fail for one reason


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
    """A line for each file that is not in the cache: all at once, as one may have a single chance.

    Those that fail for one reason, such as an upstream that is off, share a line.
    """
    of_reason: dict[str, list[Result | Unresolved]] = {}
    for each in _failed(results):
        of_reason.setdefault(_reason(each), []).append(each)
    return sorted(
        line
        for reason, failed in of_reason.items()
        for line in ([_together(failed, reason)] if len(failed) > MOST_ALIKE else map(_line, failed))
    )


def is_out_of_reach(results: Results) -> bool:
    """Whether all files that failed did as the mirror cannot have them now: its upstream does not answer.

    Requirements that uv did not resolve then are no other reason.
    """
    statuses = {each.status for each in _failed(results) if isinstance(each, Result)}
    return bool(statuses) and statuses <= OUT_OF_REACH


def _together(failed: Sequence[Result | Unresolved], reason: str) -> str:
    names = ", ".join(str(each) for each in failed[:MOST_ALIKE])
    return f"{names} and {len(failed) - MOST_ALIKE} more: {reason}"


def _reason(failed: Result | Unresolved) -> str:
    """The reason without the page that the mirror names in it: who waited for one question has another's."""
    if isinstance(failed, Unresolved):
        return failed.reason
    return _PAGE.sub("", failed.problem) if failed.status in OUT_OF_REACH else failed.problem


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
