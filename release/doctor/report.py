"""Report of `release doctor`: lines for people, JSON for scripts, the error to end with."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from packhorse.errors import PackhorseError
from release.host.commands.inspect.doctor import FAILED, OK, WARNING, CheckResult


@dataclass(frozen=True)
class Finding:
    """A check on `host`; "" is the project, or all hosts of a target."""

    host: str
    check: CheckResult


def attempt(name: str, look: Callable[[], str]) -> CheckResult:
    """The check `name`, which is ok with the text that `look` returns, and failed when it raises."""
    try:
        return CheckResult(name, OK, look())
    except PackhorseError as error:
        return CheckResult(name, FAILED, error.message, error.hint)


def rows(findings: Sequence[Finding]) -> list[tuple[str, str, str, str]]:
    """Columns of a table: host, check, state, and what was found, with what to do."""
    return [
        (found.host, found.check.check, found.check.state, _text(found.check).replace("\n", " "))
        for found in findings
    ]


def _text(check: CheckResult) -> str:
    return f"{check.text} → {check.advice}" if check.advice else check.text


def as_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """The findings for scripts."""
    return [{"host": found.host or None, **asdict(found.check)} for found in findings]


def error(findings: Sequence[Finding]) -> PackhorseError | None:
    """The error that the command ends with; None when nothing has failed: a warning is none."""
    failed = [found for found in findings if found.check.state == FAILED]
    if not failed:
        return None
    names = ", ".join(_names(failed))
    return PackhorseError(
        f"{len(failed)} of {len(findings)} checks failed: {names}.",
        "Do what stands behind the arrows, and run the command again.",
    )


def _names(failed: Sequence[Finding]) -> Iterator[str]:
    for found in failed:
        yield f"{found.check.check} on {found.host}" if found.host else found.check.check


def summary(findings: Sequence[Finding]) -> str:
    """The last line when nothing has failed."""
    warnings = sum(found.check.state == WARNING for found in findings)
    return f"{len(findings)} checks, {warnings or 'no'} warning{'' if warnings == 1 else 's'}."
