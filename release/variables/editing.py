"""Edit variables in the user's editor: the text that it gets, the file between, what is different then."""

import contextlib
import os
import re
import shlex
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packhorse import process
from packhorse.errors import PackhorseError
from release.config import env_file
from release.host.formats import variables

# What an editor shows otherwise, or changes: control characters, and bytes that are no UTF-8 (PEP 383).
_ENDING = (signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT)
_OPAQUE = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True)
class Edited:
    """Changes that the user made: variables to set, and those to unset."""

    values: dict[str, str] = field(repr=False)
    unset: list[str]


def text(values: Mapping[str, str], target: str) -> bytes:
    """The text for the editor."""
    shown = {name: value for name, value in sorted(values.items()) if not _OPAQUE.search(value)}
    opaque = "".join(
        f"# {name}: {len(os.fsencode(values[name]))} bytes that are no text; they stay as they are.\n"
        for name in sorted(values.keys() - shown.keys())
    )
    return (
        f"# What is set on {target}: lines NAME=VALUE. Save and leave the editor to set it, as one release.\n"
        "# A line that is removed is unset. Nothing is expanded; 'quotes' hold spaces and newlines.\n"
        f"{opaque}\n"
    ).encode() + env_file.render(shown)


def changes(values: Mapping[str, str], edited: bytes) -> Edited:
    """Find the changes in the `edited` text of `values`. Raises PackhorseError for lines that are wrong."""
    found = env_file.parse(edited, "The edited text")
    different = {name: value for name, value in found.items() if values.get(name) != value}
    variables.check(different)
    gone = [name for name, value in values.items() if name not in found and not _OPAQUE.search(value)]
    return Edited(different, sorted(gone))


def edit(values: Mapping[str, str], target: str, again: Callable[[PackhorseError], bool]) -> Edited:
    """Let the user edit `values`, until all lines are right, or they do not want to correct them `again`.

    The file between is in memory where there is such a place, for nobody else to read, and goes in any case.
    """
    with _file(text(values, target)) as path:
        while True:
            command = _editor()
            status = process.attached([*command, str(path)])
            if status:
                raise PackhorseError(
                    f"{command[0]} ended with status {status}: nothing was changed.",
                    "Set VISUAL or EDITOR to an editor that waits until you have saved, such as nano.",
                )
            try:
                return changes(values, path.read_bytes())
            except PackhorseError as error:
                if not again(error):
                    raise


def _editor() -> list[str]:
    chosen = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "")
    found = [chosen] if chosen else [[name] for name in ("editor", "nano", "vi")]  # editor: Debian's choice
    for command in found:
        if shutil.which(command[0]):
            return command
    raise PackhorseError(
        f"There is no editor {found[0][0]}.", "Set VISUAL or EDITOR to one that is there, such as nano."
    )


@contextlib.contextmanager
def _file(content: bytes) -> Iterator[Path]:
    runtime = [os.environ.get("XDG_RUNTIME_DIR", ""), "/dev/shm"]  # noqa: S108  # of ours alone inside: mkdtemp
    where = next((path for path in runtime if path and os.access(path, os.W_OK | os.X_OK)), None)
    with _ended_by_signals(), tempfile.TemporaryDirectory(prefix="packhorse-edit-", dir=where) as folder:
        path = Path(folder, "configuration.env")
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        yield path


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let a closed terminal, SIGTERM and Ctrl-\\ pass through `finally`, so that the file goes."""
    before = {number: signal.signal(number, _interrupt) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: object) -> None:
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)  # a second one must not end what removes the file
    raise KeyboardInterrupt
