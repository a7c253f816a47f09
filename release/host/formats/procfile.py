"""Parse a Procfile into process types and their commands."""

import re
import shlex
from collections.abc import Collection

from packhorse.errors import PackhorseError

NAME = "Procfile"
_TYPE = "[A-Za-z][A-Za-z0-9_-]{0,30}"
_LINE = re.compile(rf"(?P<type>{_TYPE})\s*:\s*(?P<command>.*)")
# Files that programs look for in the working directory without being told.
_OWN_FILES = {"alembic": "alembic.ini", "gunicorn": "gunicorn.conf.py"}
_EXAMPLE = 'web: gunicorn "myapp:create_app()"'


def parse(data: bytes, where: str) -> dict[str, str]:
    """Return process type -> command, in the order of the file; one of them goes on running.

    `web` serves requests; an application without it has workers only. `where` (the file's path) starts every
    message. Raises PackhorseError that names every wrong line.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        wrong = data.count(b"\n", 0, error.start) + 1
        raise PackhorseError(
            f"{where}: line {wrong}: this is not UTF-8.", "Save the file as UTF-8."
        ) from error
    commands: dict[str, str] = {}
    problems = []
    for number, line in enumerate(text.split("\n"), 1):
        content = line.strip()
        if content and not content.startswith("#"):
            problem = _add(content, commands)
            if problem:
                problems.append(f"{where}: line {number}: {problem}")
    if not problems and not commands.keys() - {"release"}:
        problems.append(f"{where}: there is no process type that goes on running, such as web or worker")
    if problems:
        raise PackhorseError("\n".join(problems), f"Write lines such as: {_EXAMPLE}")
    return commands


def is_type(name: str) -> bool:
    """Whether `name` can be that of a process type."""
    return re.fullmatch(_TYPE, str(name)) is not None


def files(command: str, present: Collection[str]) -> list[str]:
    """Select the files of `present` that `command` names, or that its program looks for by itself."""
    words = shlex.split(command)
    programs = {word.rpartition("/")[2] for word in words}
    named = [value.removeprefix("./") for word in words for value in (word, word.partition("=")[2])]
    named += [path for program, path in _OWN_FILES.items() if program in programs]
    return [path for path in dict.fromkeys(named) if path in present]


def _add(content: str, commands: dict[str, str]) -> str | None:
    """Add one line to `commands`; return what is wrong with it, if anything."""
    matched = _LINE.fullmatch(content)
    if not matched:
        return "expected a process type, a colon and a command"
    process_type, command = matched["type"], matched["command"]
    if process_type in commands:
        return f"the process type {process_type} was already there"
    if not command:
        return f"the process type {process_type} has no command"
    if not command.isprintable():
        return "there is a control character in the command"
    try:
        shlex.split(command)
    except ValueError as error:  # "No closing quotation", "No escaped character"
        return f"{str(error).lower()} in the command"
    commands[process_type] = command
    return None
