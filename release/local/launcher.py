"""Become a process of `release local`: take the listener as descriptor 3, end when the command is killed.

Runs by its path with the standard library only: `launcher.py LISTENER COMMAND...`, LISTENER - for none.
"""

import ctypes
import os
import signal
import sys

LISTENER = 3  # sd_listen_fds(3)
PR_SET_PDEATHSIG = 1  # prctl(2)


def main(listener: str, command: list[str]) -> None:
    """Exec `command`; its listener, if any, is the inherited descriptor `listener`."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if listener != "-":
        os.dup2(int(listener), LISTENER)
        os.set_inheritable(LISTENER, True)  # noqa: FBT003  # its only argument
        if int(listener) != LISTENER:
            os.close(int(listener))
        os.environ["LISTEN_PID"] = str(os.getpid())
    try:
        os.execvp(command[0], command)  # noqa: S606  # to become the process is the purpose
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}; looked in PATH: {os.environ.get('PATH', '')}\n")
        sys.exit(127 if isinstance(error, FileNotFoundError) else 126)  # as sh(1)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
