"""Run a command line: print text that is safe on a terminal, show errors, set the exit status, draw progress.

Nothing else prints (`make lint` forbids click.echo elsewhere): what servers, packages and applications wrote
passes through `printable` on its way to the terminal.
"""

import contextlib
import errno
import gc
import json
import os
import re
import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import click

from packhorse.errors import PackhorseError

# C0 but tab and newline, DEL, C1: a terminal obeys them, and may answer as if it were the keyboard (ECMA-48).
# Line separators, and marks that change the order in which text is shown (Unicode TR 9; CVE-2021-42574).
# Bytes that are no UTF-8 (PEP 383): they could not be printed.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def printable(text: str) -> str:
    r"""`text` with control characters written out (`\x1b`, `\u202e`); newlines and tabs stay."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def echo(text: str = "", *, err: bool = False, nl: bool = True) -> None:
    """Print `text`, harmless for a terminal; the same into a pipe, which may end at one."""
    click.echo(printable(text), err=err, nl=nl)


def echo_rows(rows: Sequence[tuple[str, str | None, str]]) -> None:
    """Print rows of a head, in a colour on a terminal, and a text: at once, as there may be very many.

    Raises BrokenPipeError when nobody reads them, also without any.
    """
    if not rows:
        _require_reader()
        return
    texts = printable("\n".join(text.replace("\n", " ") for _, _, text in rows)).split("\n")
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    lines = []
    for (head, colour, _), text in zip(rows, texts, strict=True):
        shown = printable(head.replace("\n", " "))
        lines.append(
            f"{click.style(shown, fg=colour) if coloured and colour else shown}{head and '  '}{text}"
        )
    click.echo("\n".join(lines), color=coloured)


def _require_reader() -> None:
    """Raise BrokenPipeError when stdout is a pipe whose reader has gone: only writing to it would tell."""
    poll = select.poll()
    with contextlib.suppress(ValueError, OSError):  # it is no file of the system
        poll.register(sys.stdout.fileno(), 0)
    if any(events & select.POLLERR for _, events in poll.poll(0)):
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def run(command: click.Command) -> None:
    """Run `command` as the whole program: two lines for an expected error, a traceback for a bug.

    Exit status: 0, the error's own (1 unless it says otherwise), 2 for wrong usage, 130 for Ctrl-C.
    When a reader has gone (`release logs local | head`), click ends the program quietly, with 1.
    """
    _replace_closed()
    # Imported modules are never garbage: looking for some in them costs a tenth of a second.
    gc.set_threshold(50_000)
    try:
        sys.exit(command.main(standalone_mode=False) or 0)
    except PackhorseError as error:
        show(error)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        echo("Interrupted.\nNothing is left half done: run the command again.", err=True)
        sys.exit(130)
    finally:
        gc.freeze()


def _replace_closed() -> None:
    """Lead standard streams that were closed (`>&-`) nowhere: the next file would get their numbers."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(descriptor, True)  # noqa: FBT003  # it takes no keyword
            setattr(sys, name, os.fdopen(descriptor, "r" if name == "stdin" else "w"))


def show(error: PackhorseError) -> None:
    """Print `error` on stderr: its detail, perhaps a summary, and last what happened and what to do now."""
    if error.detail:
        echo(error.detail.rstrip(), err=True)
    if error.summary:
        echo(error.summary, err=True)
    for name, colour, text in (("Error:", "red", error.message), ("Hint:", "cyan", error.hint)):
        click.echo(f"{_style(name, colour)} {printable(text)}", err=True)


def _style(text: str, colour: str) -> str:
    return text if os.environ.get("NO_COLOR") else click.style(text, fg=colour, bold=True)


def emit_json(value: object) -> None:
    """Print `value` on stdout as indented JSON, keys in the order they were given."""
    echo(json.dumps(value, indent=2))


def ask_first(question: str, *, yes: bool) -> None:
    """Ask, unless `yes`. Raises PackhorseError when nobody can answer, and click.Abort for a no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise PackhorseError(f"{question} Nobody can be asked here.", "Give --yes.")
    click.confirm(question, default=False, abort=True, err=True)


def ask_for_name(what: str, name: str, *, yes: bool) -> None:
    """Have `name` typed to remove it, unless `yes`; `what` says what goes. Raises PackhorseError."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise PackhorseError(f"{what} Nobody can be asked here.", "Give --yes.")
    if click.prompt(f"{what} Type {name} to remove it", err=True) != name:
        raise PackhorseError("That is another name: nothing was removed.", "Run the command again.")


def ask_hidden(prompt: str) -> bytes:
    """The line that the user types or pastes after `prompt`, which the terminal does not show.

    Raises PackhorseError for several lines: the shell would run what is left of a pasted key. A terminal
    passes on 4095 bytes of a line (termios(3)), so one that is longer is refused, too.
    """
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    hidden = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
    try:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, hidden)
        echo(f"{prompt}: ", nl=False, err=True)
        line = os.read(descriptor, 65536)
        more = bool(select.select([descriptor], [], [], 0.1)[0])
    finally:
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)  # drops what was not read
        echo(err=True)
    if not line:
        raise click.Abort
    if more or len(line) > 4095 or not line.endswith(b"\n"):
        raise PackhorseError(
            f"{prompt}: what you gave has several lines, or is too long for a terminal.",
            f"Take it from a file, as {prompt}=@FILE, or from standard input.",
        )
    return line[:-1]


def emit_bytes(data: bytes) -> None:
    """Print `data`, harmless and with a newline on a terminal; into a pipe or a file, these bytes alone."""
    if sys.stdout.isatty():
        echo(os.fsdecode(data))
    else:
        write_bytes(data)


def write_bytes(data: bytes, stream: int = 1) -> None:
    """Write `data` as it is to stdout (1) or stderr (2): a pipe, or a terminal that the user has lent."""
    file = (sys.stdout if stream == 1 else sys.stderr).buffer
    file.write(data)
    file.flush()


@contextmanager
def raw_terminal(*, on: bool) -> Iterator[None]:
    """Let the terminal on stdin pass on each key, Ctrl-C too, inside the block."""
    if not on:
        yield
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor, termios.TCSADRAIN)  # what was typed already stays
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


@contextmanager
def progress(text: str, total: int) -> Iterator[Callable[[], None]]:
    """Show a progress bar for `total` steps on a terminal; yields a function to call after each step."""
    from rich.console import Console
    from rich.progress import Progress

    if not sys.stderr.isatty():  # a bar that is disabled ends with an empty line there
        yield lambda: None
        return
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(text, total=total)
        yield lambda: bar.advance(task)


@contextmanager
def transfer(text: str) -> Iterator[tuple[Callable[[int], None], Callable[[int], None]]]:
    """Show bytes, speed and the remaining time on a terminal.

    Yields two functions: one to call with the bytes of a file that is to come, one with bytes that have come.
    """
    from rich import progress as bars
    from rich.console import Console

    columns = (
        *(bars.TextColumn("{task.description}"), bars.BarColumn(), bars.DownloadColumn()),
        *(bars.TransferSpeedColumn(), bars.TimeRemainingColumn()),
    )
    if not sys.stderr.isatty():  # a bar that is disabled ends with an empty line there
        yield lambda _: None, lambda _: None
        return
    with bars.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(text, total=None)
        total = 0

        def add(size: int) -> None:
            nonlocal total
            total += size
            bar.update(task, total=total)

        yield add, lambda size: bar.advance(task, size)


@contextmanager
def working(text: str) -> Iterator[None]:
    """Show `text` while the block runs: beside a spinner on a terminal, else as one line on stderr.

    Print nothing to the terminal inside the block: it would end up on the spinner's line.
    """
    if not sys.stderr.isatty():
        echo(text, err=True)
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(text):
        yield
