"""Run a command line: show errors, set the exit status, print JSON, draw progress."""

import gc
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from packhorse.errors import PackhorseError


def run(command: click.Command) -> None:
    """Run `command` as the whole program: two lines for an expected error, a traceback for a bug.

    Exit status: 0, the error's own (1 unless it says otherwise), 2 for wrong usage, 130 for Ctrl-C.
    When a reader has gone (`release logs local | head`), click ends the program quietly, with 1.
    """
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
        click.echo("Interrupted.\nNothing is left half done: run the command again.", err=True)
        sys.exit(130)
    finally:
        gc.freeze()


def show(error: PackhorseError) -> None:
    """Print `error` on stderr: its detail, what happened, what to do now."""
    if error.detail:
        click.echo(error.detail.rstrip(), err=True)
    click.echo(f"{_style('Error:', 'red')} {error.message}", err=True)
    click.echo(f"{_style('Hint:', 'cyan')} {error.hint}", err=True)


def _style(text: str, colour: str) -> str:
    return text if os.environ.get("NO_COLOR") else click.style(text, fg=colour, bold=True)


def emit_json(value: object) -> None:
    """Print `value` on stdout as indented JSON, keys in the order they were given."""
    click.echo(json.dumps(value, indent=2))


@contextmanager
def progress(text: str, total: int) -> Iterator[Callable[[], None]]:
    """Show a progress bar for `total` steps on a terminal; yields a function to call after each step."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(text, total=total)
        yield lambda: bar.advance(task)


@contextmanager
def working(text: str) -> Iterator[None]:
    """Show `text` while the block runs: beside a spinner on a terminal, else as one line on stderr.

    Print nothing to the terminal inside the block: it would end up on the spinner's line.
    """
    if not sys.stderr.isatty():
        click.echo(text, err=True)
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(text):
        yield
