"""devpi-server that ends when its standard input does: a killed `mirror init` leaves no server behind."""

import os
import sys
import threading


def _end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os._exit(0)  # what a SIGTERM does to devpi-server: every write of it is a transaction


if __name__ == "__main__":
    from devpi_server.main import main

    threading.Thread(target=_end_with_stdin, daemon=True).start()
    main()
