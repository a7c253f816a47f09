"""Run devpi-server until its standard input closes: a killed `mirror init` leaves no server behind."""

import os
import sys
import threading


def _exit_when_stdin_closes() -> None:
    os.read(0, 1)  # sys.stdin would be locked, and the interpreter could not end before
    os._exit(0)  # as a SIGTERM does: all its writes are transactions


if __name__ == "__main__":
    threading.Thread(target=_exit_when_stdin_closes, daemon=True).start()

    from devpi_server.main import main  # takes half a second, in which we may have to end already

    sys.exit(main())
