"""What circus starts: listening sockets in, exec of the application of the release that this file lies in.

A copy lies in every release, and imports nothing but the standard library: a release starts without the
agent that made it, and without the time that Python takes to find installed packages.
"""

import json
import os
import pwd
import re
import shlex
import shutil
import socket
import sys
from pathlib import Path

PUBLIC, PROBE = 3, 4  # sd_listen_fds(3): inherited listeners start at 3
# A quoted string, an escaped character, or any other character.
_PART = re.compile(r"""'[^']*'|"(?:\\.|[^"\\])*"|\\.|.""", re.DOTALL)
_ASSIGNMENTS = re.compile(r"""(\w+=('[^']*'|"(?:\\.|[^"\\])*"|[^\s'"])*\s+)+""")


def main(release: Path, arguments: list[str]) -> None:
    """Become a process of `release`, a folder. `arguments`: probe socket, process type, public descriptor."""
    probe, process, listener = arguments
    os.dup2(1, 2)  # one stream, one log file, one rotation
    os.umask(0o022)
    os.chdir(release)
    if process == "web":
        _hand_over(int(listener), Path(probe))
    os.closerange(PROBE + 1 if process == "web" else PUBLIC, os.sysconf("SC_OPEN_MAX"))
    variables = environment(release, process)
    command = arguments_of(
        json.loads((release / "manifest.json").read_bytes())["processes"][process], release
    )
    program = shutil.which(command[0], path=variables["PATH"])
    if program is None:
        sys.exit(f"There is no program {command[0]} in the release, and none on this host.")
    os.execve(program, command, variables)  # noqa: S606  # to become the process is the purpose


def _hand_over(listener: int, probe: Path) -> None:
    """Put the public listener on 3 and a new private one on 4."""
    probe.unlink(missing_ok=True)
    private = socket.socket(socket.AF_UNIX)
    os.umask(0o177)
    private.bind(str(probe))
    os.umask(0o022)
    private.listen(16)
    # Copies first: 3 or 4 may be one of the two.
    public_copy, private_copy = os.dup(listener), os.dup(private.fileno())
    os.dup2(public_copy, PUBLIC, inheritable=True)
    os.dup2(private_copy, PROBE, inheritable=True)
    private.detach()


def environment(release: Path, process: str) -> dict[str, str]:
    """Exactly what the process sees: a base that is the same everywhere, the release's values, and ours."""
    user = pwd.getpwuid(os.getuid())
    given = {
        "HOME": user.pw_dir,
        "USER": user.pw_name,
        "LOGNAME": user.pw_name,
        "LANG": "C.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PYTHONUNBUFFERED": "1",  # what a process says before it dies must reach the log
        **json.loads((release / "env.json").read_bytes()),
    }
    ours = {
        "PACKHORSE_APP": release.parents[1].name,
        "PACKHORSE_RELEASE": release.name,
        "PACKHORSE_FOLDER": str(release),
        "VIRTUAL_ENV": str(release / "venv"),
        "PATH": f"{release / 'venv' / 'bin'}:{given['PATH']}",
    }
    return {**given, **ours, **(_listeners(release) if process == "web" else {})}


def _listeners(release: Path) -> dict[str, str]:
    port = re.search(r"^port = (\d+)$", (release.parents[1] / "circus.ini").read_text(), re.MULTILINE)
    return {"LISTEN_FDS": "2", "LISTEN_PID": str(os.getpid()), **({"PORT": port[1]} if port else {})}


def arguments_of(command: str, release: Path) -> list[str]:
    """The argument list of a Procfile command.

    Without shell syntax the words themselves. With expansions only, a shell that becomes the server: the
    server compares LISTEN_PID with its own process id. With several commands, a shell below our shim.
    """
    parts = _PART.findall(command)
    if is_compound(command):
        return [sys.executable, "-IS", str(release / "shim.py"), command]
    assignments = _ASSIGNMENTS.match(command)
    if assignments or any(part in "$`*?[]{}~#" or _expands(part) for part in parts):
        end = assignments.end() if assignments else 0
        return ["/bin/sh", "-c", f"{command[:end]}exec {command[end:]}"]
    return shlex.split(command)


def is_compound(command: str) -> bool:
    """Whether `command` is more than one program for a shell."""
    return any(part in ";|&<>()\n" for part in _PART.findall(command))


def _expands(part: str) -> bool:
    return part.startswith('"') and not {"$", "`"}.isdisjoint(part)


if __name__ == "__main__":
    main(Path(__file__).parent, sys.argv[1:])
