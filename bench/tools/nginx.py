"""A real nginx with a given http block."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.support import debian_packages
from tests.support.servers import free_port


@contextlib.contextmanager
def running(folder: Path, block: str) -> Iterator[None]:
    """nginx as Debian configures it (a worker per core, no access log here), its files in `folder`."""
    main = folder / f"nginx.{free_port()}.conf"
    main.write_text(
        f"daemon off; worker_processes auto; pid {main}.pid; error_log {main}.log;\n"
        f"events {{ }}\nhttp {{ access_log off; sendfile on; tcp_nopush on;\n{block}\n}}\n"
    )
    program = debian_packages.which("nginx")
    if program is None:
        raise FileNotFoundError("nginx: install it with `python tests/support/debian_packages.py`")
    process = subprocess.Popen([program, "-c", str(main)], stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()
