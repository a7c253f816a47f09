"""Check the paths that stay open in maintenance mode."""

import re
from collections.abc import Iterable

from packhorse.errors import PackhorseError

LONGEST, MOST = 200, 50
_MISREAD = re.compile(r"[\x00-\x20\x7f-\x9f\\;%?#\ud800-\udfff]|//|/\.\.?(?:/|$)")


def check(paths: Iterable[str]) -> list[str]:
    """The `paths`, in one form each. Raises PackhorseError for one that servers read in different ways."""
    checked = []
    for path in paths:
        if not path.startswith("/") or _MISREAD.search(path) or len(path) > LONGEST:
            raise PackhorseError(
                f"{path!r} is no path that can stay open.",
                "Write it as /healthz or /admin/: from the first slash on, without dots, query or % signs.",
            )
        if path == "/":
            raise PackhorseError(
                "All paths would stay open.", "Name those that are needed, such as --allow /admin/"
            )
        checked.append(path)
    if len(checked) > MOST:
        raise PackhorseError(f"More than {MOST} paths are to stay open.", "Name one that is above them.")
    return list(dict.fromkeys(checked))
