#!/usr/bin/python3 -I
"""Point nginx at an application's new port, and wait until its old workers are gone.

Run through sudo by the application's user. Status 0: done; 1: refused, nothing changed; 75: the new port
serves, but earlier requests keep an old worker (sysexits.h: EX_TEMPFAIL).
"""

import fcntl
import os
import re
import subprocess
import sys
import time
from pathlib import Path

VHOSTS = Path("/etc/nginx/packhorse")
PID = Path("/run/nginx.pid")
LOCK = Path("/run/packhorse-port.lock")
RELOAD_SECONDS = 30.0
DRAIN_SECONDS = 300.0


def upstream(app: str, where: str) -> str:
    """The text of APP.upstream.conf. Raises ValueError for what is neither a port nor "socket"."""
    if where == "socket":
        server = f"unix:/run/{app}/web.sock"
    elif re.fullmatch("[1-9][0-9]{3,4}", where) and 1024 <= int(where) <= 65535:
        server = f"127.0.0.1:{where}"
    else:
        raise ValueError(f"{where} is neither a port from 1024 to 65535 nor the word socket")
    return f"upstream packhorse_{app} {{\n    server {server} fail_timeout=0;\n}}\n"


def known(app: str) -> Path:
    """The upstream file of an application that was provisioned here. Raises ValueError for others."""
    path = VHOSTS / f"{app}.upstream.conf"
    if not re.fullmatch("[a-z0-9]([a-z0-9-]*[a-z0-9])?", app) or not path.is_file():
        raise ValueError("there is no application of this name with a vhost")
    return path


def workers() -> "set[str]":
    """The process ids of nginx's workers."""
    master = PID.read_text().strip()
    return set(Path(f"/proc/{master}/task/{master}/children").read_text().split())


def reload(old: "set[str]") -> None:
    """Let nginx test and load its configuration, and wait for a new worker besides the `old` ones.

    Raises OSError with nginx's output, or when no worker starts.
    """
    for command in (["nginx", "-t", "-q"], ["nginx", "-s", "reload"]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise OSError(done.stderr.strip())
    if not wait(RELOAD_SECONDS, old, new=True):
        raise OSError("nginx did not take the new configuration over: see its error log")


def wait(seconds: float, ready: "set[str]", *, new: bool) -> bool:
    """Whether within `seconds` a worker besides `ready` started (new), or all of `ready` are gone."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        now = workers()
        if now - ready if new else not now & ready:
            return True
        time.sleep(0.02)
    return False


def write(path: Path, text: str) -> None:
    """Replace `path` in one step."""
    scratch = path.with_suffix(".new")  # nginx reads *.conf only
    scratch.write_text(text)
    scratch.replace(path)


def main(app: str, where: str) -> int:
    """Switch the port, or restore the old file."""
    path, text = known(app), upstream(app, where)
    # One at a time: each tests the files of all. Who could open it could hold it for ever.
    LOCK.touch(0o600)
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before, old = path.read_text(), workers()
        write(path, text)
        try:
            reload(old)
        except OSError:
            write(path, before)
            raise
    return 0 if wait(DRAIN_SECONDS, old, new=False) else os.EX_TEMPFAIL


if __name__ == "__main__":
    os.environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    os.umask(0o022)
    try:
        sys.exit(main(*sys.argv[1:]))
    except (OSError, TypeError, ValueError) as error:
        sys.exit(f"packhorse-port: {error}")
