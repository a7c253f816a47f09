"""Read TOML, of anybody; settings.py checks the content of settings."""

import re
import tomllib
from pathlib import Path
from typing import Any

from packhorse.errors import PackhorseError

# tomllib takes time and memory by the square of the parts of a key: for 20,000 of them 1.5 GB.
_PART = r"""(?:[\w-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')"""
_LONG_KEY = re.compile(rf"""(?<![\w"'-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{200}}""")


def parse(text: str) -> dict[str, Any]:
    """The tables in `text`. Raises TOMLDecodeError, also for what is nested without end."""
    if _LONG_KEY.search(text):
        raise tomllib.TOMLDecodeError("a key has more than 200 parts")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise tomllib.TOMLDecodeError("it is nested too deeply") from error


def read(path: Path) -> dict[str, Any]:
    """The content of `path`, {} when there is no such file. Raises PackhorseError for invalid TOML."""
    try:
        return parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PackhorseError(f"{path}: {error}", "Correct the file: it is not valid TOML.") from error
    except OSError as error:
        raise PackhorseError(f"{path}: {error.strerror}", "Name a file that you may read.") from error
