"""Files and commands that a page of docs/ shows, in their order."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

CHECKOUT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    """A block between ``` and ```: what follows the first, the language and perhaps a file's name."""

    language: str
    filename: str
    text: str


def blocks(page: str) -> Iterator[Block]:
    """The blocks of a page below docs/."""
    for found in _BLOCK.finditer((CHECKOUT / "docs" / page).read_text()):
        yield Block(*(group or "" for group in found.groups()))


def script(text: str) -> str:
    """The commands of a block for `sh -e`; those before "# exit status N" have to end with that status."""
    checked = r"got=0; \1 || got=$?; [ $got -eq \2 ] || { echo exit status $got, not \2; exit 1; }"
    return re.sub(r"(?m)^(.*?) +# exit status (\d+)\b.*$", checked, text)
