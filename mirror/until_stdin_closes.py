"""devpi-server that ends when its standard input does: a killed `mirror init` leaves no server behind."""

import os
import sys
import threading


def _end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os._exit(0)  # what a SIGTERM does to devpi-server: every write of it is a transaction


if __name__ == "__main__":
    threading.Thread(target=_end_with_stdin, daemon=True).start()

    from devpi_server.main import main  # takes half a second, in which we may have to end already

    sys.exit(main())
