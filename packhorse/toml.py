"""Read a TOML file; settings.py checks its content."""

import tomllib
from pathlib import Path
from typing import Any

from packhorse.errors import PackhorseError


def read(path: Path) -> dict[str, Any]:
    """The content of `path`, {} when there is no such file. Raises PackhorseError for invalid TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PackhorseError(f"{path}: {error}", "Correct the file: it is not valid TOML.") from error
    except OSError as error:
        raise PackhorseError(f"{path}: {error.strerror}", "Name a file that you may read.") from error
