"""What circus starts: listening sockets and a release's folder in, exec of the application."""

import os
import pwd
import re
import shlex
import shutil
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from release.host import state, supervisor
from release.host.layout import Layout

PUBLIC, PROBE = 3, 4  # sd_listen_fds(3): inherited listeners start at 3
# A quoted string, an escaped character, or any other character.
_PART = re.compile(r"""'[^']*'|"(?:\\.|[^"\\])*"|\\.|.""", re.DOTALL)
_ASSIGNMENTS = re.compile(r"""(\w+=('[^']*'|"(?:\\.|[^"\\])*"|[^\s'"])*\s+)+""")


def main(arguments: list[str]) -> None:
    """Become the process. `arguments`: root, run, app, release, process type, the listener's descriptor."""
    root, run, app, release, process, listener = arguments
    layout, number = Layout(app, Path(root), Path(run)), int(release)
    os.dup2(1, 2)  # one stream, one log file, one rotation
    os.umask(0o022)
    os.chdir(layout.release(number))
    if process == "web":
        _hand_over(int(listener), layout.probe(number))
    os.closerange(PROBE + 1 if process == "web" else PUBLIC, os.sysconf("SC_OPEN_MAX"))
    bind = supervisor.bind_of(layout.circus_ini.read_text())
    variables = environment(layout, number, process, bind)
    command = arguments_of(state.read_manifest(layout, number).processes[process])
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


def environment(layout: Layout, number: int, process: str, bind: supervisor.Bind) -> dict[str, str]:
    """Exactly what the process sees: a base that is the same everywhere, the release's values, and ours."""
    user = pwd.getpwuid(os.getuid())
    venv = layout.release(number) / "venv"
    given = {
        "HOME": user.pw_dir,
        "USER": user.pw_name,
        "LOGNAME": user.pw_name,
        "LANG": "C.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PYTHONUNBUFFERED": "1",  # what a process says before it dies must reach the log
        **state.read_env(layout, number),
    }
    ours = {
        "PACKHORSE_APP": layout.app,
        "PACKHORSE_RELEASE": str(number),
        "PACKHORSE_FOLDER": str(layout.release(number)),
        "VIRTUAL_ENV": str(venv),
        "PATH": f"{venv / 'bin'}:{given['PATH']}",
    }
    return {**given, **ours, **(_listeners(bind) if process == "web" else {})}


def _listeners(bind: supervisor.Bind) -> Mapping[str, str]:
    port = {"PORT": str(bind[1])} if bind else {}
    return {"LISTEN_FDS": "2", "LISTEN_PID": str(os.getpid()), **port}


def arguments_of(command: str) -> list[str]:
    """The argument list of a Procfile command.

    Without shell syntax the words themselves. With expansions only, a shell that becomes the server: the
    server compares LISTEN_PID with its own process id. With several commands, a shell below our shim.
    """
    parts = _PART.findall(command)
    if any(part in ";|&<>()\n" for part in parts):
        return [sys.executable, "-Im", "release.host.shim", command]
    assignments = _ASSIGNMENTS.match(command)
    if assignments or any(part in "$`*?[]{}~#" or _expands(part) for part in parts):
        end = assignments.end() if assignments else 0
        return ["/bin/sh", "-c", f"{command[:end]}exec {command[end:]}"]
    return shlex.split(command)


def _expands(part: str) -> bool:
    return part.startswith('"') and not {"$", "`"}.isdisjoint(part)


if __name__ == "__main__":
    main(sys.argv[1:])
