r"""Read and write files of environment variables (.env): lines NAME=VALUE, in which nothing is expanded.

As python-dotenv and Docker Compose write them: `#` begins a comment at the start of a line, or after a space
in a value without quotes; `export` may come first. In 'single quotes' all is itself but \' and \\. In "double
quotes" \n, \r, \t, \", \$ and \\ are what they are in C. Both may have newlines. `$NAME` stays `$NAME`. Bytes
that are no UTF-8 pass as os.fsdecode has them.
"""

import os
import re
from collections.abc import Mapping

from packhorse.errors import PackhorseError

_LINE = re.compile(
    r"""
    [ \t\r]*+ (?: (?:export[ \t\r]++)? (?P<name>[A-Za-z_][A-Za-z0-9_]*+) [ \t\r]*+=[ \t\r]*+
      (?: '(?P<single>(?:\\.|[^'\\])*)' | "(?P<double>(?:\\.|[^"\\])*)" | (?P<plain>(?!['"])[^\n]*) )
    )? [ \t\r]*+ (?:(?<![^\s'"])\#[^\n]*)? (?:\n|\Z)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "$": "$", "\\": "\\"}


def parse(data: bytes, where: str) -> dict[str, str]:
    """The variables in the text `data`, read from `where`.

    Raises PackhorseError that names a line, and never what is in it: it may be a secret.
    """
    text = os.fsdecode(data).removeprefix("\ufeff")
    found: dict[str, str] = {}
    position = 0
    while position < len(text):
        matched = _LINE.match(text, position)
        if not matched:
            line = text.count("\n", 0, position) + 1
            raise PackhorseError(
                f"{where}: line {line} is not NAME=VALUE, or a quote does not end.",
                "Put values with spaces, quotes or newlines into quotes: 'it\\'s'",
            )
        if name := matched["name"]:
            if name in found:
                raise PackhorseError(f"{where}: {name} is there twice.", "Remove one of them.")
            found[name] = _value(matched)
        position = matched.end()
    return found


def _value(matched: re.Match[str]) -> str:
    if matched["single"] is not None:
        return re.sub(r"\\(['\\])", r"\1", matched["single"])
    if matched["double"] is not None:
        return re.sub(r'\\([nrt"$\\])', lambda escape: _ESCAPES[escape[1]], matched["double"])
    return re.sub(r"(^|[ \t])#.*", "", matched["plain"], flags=re.DOTALL).strip(" \t\r")


def render(values: Mapping[str, str]) -> bytes:
    """The text that `parse` reads as `values`."""
    lines = []
    for name, value in values.items():
        escaped = re.sub(r"(['\\])", r"\\\1", value)
        lines.append(f"{name}={value}\n" if _PLAIN.fullmatch(value) else f"{name}='{escaped}'\n")
    return os.fsencode("".join(lines))


_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=-]*")
