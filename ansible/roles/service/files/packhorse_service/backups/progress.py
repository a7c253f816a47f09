"""Tell the person at the other end what happens."""

import sys


def say(text: str) -> None:
    """Print a line to stderr, which comes through as it is written."""
    print(f"* {text}", file=sys.stderr, flush=True)  # noqa: T201
