"""Start a process of the release in whose folder this file lies: prepare listener and environment, then exec.

circus starts a copy of this file in every release. It imports the standard library only: a release starts
without the agent that made it, and without the time that Python takes to find installed packages.
"""

import json
import os
import pwd
import re
import shlex
import sys
from pathlib import Path

WORK = "work"
"""The folder of a release in which its processes start: `files` of the project, and not theirs to write.

Not the release's own: a server of files that is told to serve "." would publish env.json.
"""
LISTENER = 3  # sd_listen_fds(3): where an inherited listener is
# A quoted string, an escaped character, or any other character.
_PART = re.compile(r"""'[^']*'|"(?:\\.|[^"\\])*"|\\.|.""", re.DOTALL)
_ASSIGNMENTS = re.compile(r"""(\w+=('[^']*'|"(?:\\.|[^"\\])*"|[^\s'"])*\s+)+""")

# Twisted takes every descriptor for one of TCP, and would remove the file of a socket when it ends.
_TCP_ONLY = re.compile(r"\bdaphne\b.*\s--fd\b")


def main(release: Path, arguments: list[str]) -> None:
    """Exec a process of the folder `release`. `arguments`: process type, and perhaps its listener."""
    process, given = arguments[0], [int(number) for number in arguments[1:]]
    os.dup2(1, 2)  # one stream, one log file, one rotation
    os.umask(0o027)
    os.chdir(release / WORK)
    manifest = json.loads((release / "manifest.json").read_bytes())
    line = manifest["processes"][process]
    forwarded = process == "web" and wants_port(line)
    _take_listener(given)
    variables = environment(release, listens=bool(given) and not forwarded)
    command = arguments_of(line, release)
    if forwarded:
        kind = "port" if names_port(line) else "listener"
        command = [sys.executable, "-IS", str(release / "forward.py"), kind, *command]
    try:
        os.execvpe(command[0], command, variables)  # noqa: S606  # to become the process is the purpose
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        sys.exit(f"There is no program {command[0]} in the release, and none on this host.")


def _take_listener(given: list[int]) -> None:
    """Move the listener of the process, if any, to LISTENER; close all above."""
    if given and given[0] != LISTENER:
        os.dup2(given[0], LISTENER)
    os.closerange(LISTENER + len(given), os.sysconf("SC_OPEN_MAX"))
    if given:
        os.set_inheritable(LISTENER, True)  # noqa: FBT003  # its only argument


def environment(release: Path, *, listens: bool) -> dict[str, str]:
    """The whole environment of the process: a fixed base, the release's configuration, and our variables."""
    user = pwd.getpwuid(os.getuid())
    given = {
        "HOME": user.pw_dir,
        "USER": user.pw_name,
        "LOGNAME": user.pw_name,
        "LANG": "C.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PYTHONUNBUFFERED": "1",  # what a process prints before it dies must reach the log
        "DATA_DIR": str(release.parents[1] / "data"),
        **json.loads((release / "env.json").read_bytes()),
        **json.loads((release / "config.json").read_bytes()),  # what `release config` has set
    }
    ours = {
        "PACKHORSE_APP": release.parents[1].name,
        "PACKHORSE_RELEASE": release.name,
        "PACKHORSE_FOLDER": str(release),
        "PACKHORSE_DATA": str(release.parents[1] / "data"),  # what DATA_DIR was called before
        "VIRTUAL_ENV": str(release / "venv"),
        "PATH": f"{release / 'venv' / 'bin'}:{given['PATH']}",
    }
    if listens:
        ours |= {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "web", "LISTEN_PID": str(os.getpid())}
    return {**given, **ours}


def arguments_of(command: str, release: Path) -> list[str]:
    """The argument list of a Procfile command.

    Without shell syntax: its words. With expansions: a shell that execs the server, as the server compares
    LISTEN_PID with its own process id. With several commands: shim.py, which runs a shell.
    """
    parts = _PART.findall(command)
    if is_compound(command):
        return [sys.executable, "-IS", str(release / "shim.py"), command]
    assignments = _ASSIGNMENTS.match(command)
    if assignments or any(part in "$`*?[]{}~#" or _expands(part) for part in parts):
        end = assignments.end() if assignments else 0
        return ["/bin/sh", "-c", f"{command[:end]}exec {command[end:]}"]
    return shlex.split(command)


def wants_port(command: str) -> bool:
    """Whether `command` listens on a port of its own instead of the socket that circusd holds."""
    return names_port(command) or _TCP_ONLY.search(command) is not None


def names_port(command: str) -> bool:
    """Whether `command` opens its port itself."""
    return re.search(r"\$(PORT\b|\{PORT\b)", command) is not None


def is_compound(command: str) -> bool:
    """Whether `command` is more than one program for a shell."""
    return any(part in ";|&<>()\n" for part in _PART.findall(command))


def _expands(part: str) -> bool:
    return part.startswith('"') and not {"$", "`"}.isdisjoint(part)


if __name__ == "__main__":
    main(Path(__file__).parent, sys.argv[1:])
