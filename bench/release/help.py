"""`release … --help` of every command: how long the slowest takes."""

import os
import statistics
from collections.abc import Iterator
from pathlib import Path

import click

from bench.tools import stage
from bench.tools.rows import Row
from release.cli.main import cli
from tests.support.servers import BIN

TIMES = 5


def run() -> Iterator[Row]:
    """Ask each command and group, one after the other."""
    seconds = {
        words: statistics.median(
            stage.timed([str(BIN / "release"), *words, "--help"], Path.cwd(), dict(os.environ))
            for _ in range(TIMES)
        )
        for words in _commands(cli, ())
    }
    slowest = max(seconds, key=lambda words: seconds[words])
    name = f"help: {len(seconds)} commands, the slowest ({' '.join(('release', *slowest))})"
    yield Row(name, "s", seconds[slowest], None, seconds[slowest], "<= 0.15")


def _commands(group: click.Group, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield words
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, (*words, name))
        elif name:
            yield (*words, name)
