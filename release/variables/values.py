"""Read values of variables as a user gives them: typed, from files, from standard input."""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from packhorse.errors import PackhorseError
from release.config import env_file
from release.host.formats import variables

STDIN = Path("-")


@dataclass(frozen=True)
class Given:
    """Values, by name; those of `typed` stood in the command itself. `notes` are for the user."""

    values: dict[str, str] = field(repr=False)
    typed: list[str]
    notes: list[str]


def read(
    assignments: Sequence[str], file: Path | None, ask: Callable[[str], bytes], stdin: Callable[[], bytes]
) -> Given:
    """The values of `assignments` (NAME=VALUE, NAME=@FILE, or NAME) and those in an env `file`.

    `ask` gets the value of a variable from the user, `stdin` reads standard input to its end.
    Raises PackhorseError, which names no value.
    """
    found: dict[str, str] = {}
    typed, notes = [], []
    if file is not None:
        found |= env_file.parse(stdin() if file == STDIN else _content(file), str(file))
    for number, assignment in enumerate(assignments, 1):
        name, equals, text = assignment.partition("=")
        if not re.fullmatch(variables.NAME, name, re.ASCII):  # perhaps a secret: it is not repeated
            raise PackhorseError(
                f"Argument {number} is neither NAME nor NAME=VALUE nor NAME=@FILE.",
                "Name the variable, such as DATABASE_URL; its value is asked for.",
            )
        variables.check_name(name)  # before anybody types a password in vain
        if name in found:
            raise PackhorseError(f"{name} is given twice.", "Give it once.")
        if not equals:
            found[name] = os.fsdecode(ask(name))
            if not found[name]:  # /dev/null, a pipe whose command failed, or two names and one pipe
                raise PackhorseError(
                    f"No value was given for {name}.",
                    f"Standard input has the value of one variable. To set an empty one: {name}=",
                )
        elif text.startswith("@"):
            found[name] = os.fsdecode(_content(Path(text[1:]).expanduser(), f"{name}: "))
            if found[name].count("\n") == 1 and found[name].endswith("\n"):
                notes.append(f"{name} ends with the newline that its file ends with.")
        else:
            found[name] = text
            typed += [name] if text else []
    variables.check(found)
    return Given(found, typed, notes)


def without_last_newline(data: bytes) -> bytes:
    """Strip the newline with which `echo` ends a single line."""
    return data[:-1] if data.count(b"\n") == 1 and data.endswith(b"\n") else data


def _content(path: Path, prefix: str = "") -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PackhorseError(
            f"{prefix}{path} cannot be read: {error.strerror}.",
            "Name a file; a value that begins with @ comes from a file or from standard input.",
        ) from error
