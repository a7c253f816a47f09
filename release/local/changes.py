"""Watch a project for changes of files: not of those that git ignores, of virtualenvs, caches and editors."""

import subprocess
import threading
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import watchfiles

from packhorse.errors import PackhorseError


class ProjectFilter(watchfiles.DefaultFilter):
    """Paths below `project` that matter, by their parts there; `project` itself may lie anywhere."""

    def __init__(self, project: Path, without: Collection[Path]) -> None:
        super().__init__()
        self.project, self.without = project, without

    def __call__(self, change: watchfiles.Change, path: str) -> bool:
        below = Path(path)
        if any(below.is_relative_to(folder) for folder in self.without):
            return False
        return super().__call__(change, str(below.relative_to(self.project)))


def not_ignored(project: Path, paths: Sequence[str]) -> list[str]:
    """Select the `paths` in `project` that git does not ignore; all of them where there is no git."""
    names = [str(Path(path).relative_to(project)) for path in paths]
    command = ["git", "-C", str(project), "check-ignore", "-z", "--stdin"]
    data = b"".join(name.encode(errors="surrogateescape") + b"\0" for name in names)
    try:
        done = subprocess.run(command, input=data, capture_output=True, check=False)
    except FileNotFoundError:
        return names
    ignored = set(done.stdout.decode(errors="surrogateescape").split("\0"))
    return [name for name in names if name not in ignored]


def watch(
    project: Path,
    without: Collection[Path],
    used: Collection[Path],
    report: Callable[[tuple[str, ...]], object],
    stop: threading.Event,
) -> None:
    """Call `report` with the names of files that change in `project`, but `without` these folders.

    Of files that git ignores those that are `used` count: a .env mostly is one. Until `stop` is set. Raises
    PackhorseError when the kernel watches no more.
    """
    try:
        for changes in watchfiles.watch(
            project, watch_filter=ProjectFilter(project, without), stop_event=stop, raise_interrupt=False
        ):
            paths = sorted({path for _, path in changes})
            names = not_ignored(project, paths)
            names += [path.name for path in used if str(path) in paths and path.name not in names]
            if names:
                report(tuple(names))
    except OSError as error:
        raise PackhorseError(
            f"{project} cannot be watched: {error}.",
            "Too many folders: raise the limit (sysctl fs.inotify.max_user_watches), or leave out --watch.",
        ) from error
