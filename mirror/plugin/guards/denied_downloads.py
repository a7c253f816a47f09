"""Check that no policy denies a file that is asked for, or its metadata; record a denial in the audit log."""

from typing import Any

from mirror.plugin.audit import tween
from mirror.plugin.guards.guards import DeniedError, Guards


def check(guards: Guards, request: Any, stage: Any, entry: Any) -> None:
    """Raise DeniedError, and record it, when a policy denies the file of `entry` on `stage`."""
    try:
        guards.check(stage, entry)
    except DeniedError as error:
        more = {"project": entry.project, "file": entry.basename, "detail": error.denial.sentence}
        tween.denied(request, "download", error.denial.rule, **more)
        raise
