"""Run commands with a time limit, find free ports, wait with a deadline, and start a mirror."""

import atexit
import contextlib
import json
import os
import random
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TypeVar

from mirror import config, init, state
from mirror.serving import devpi_init

BIN = Path(sys.executable).parent  # the commands of the environment that runs the tests

T = TypeVar("T")


def free_port() -> int:
    """A TCP port on loopback that was free a moment ago.

    It is below those that the kernel gives to outgoing connections (ip_local_port_range), so that
    no client of another test takes it before its server starts.
    """
    while True:
        port = random.randrange(10_240, 32_768)  # noqa: S311  # no secret
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def wait_until(what: str, ready: Callable[[], T], *, deadline: float = 60) -> T:
    """The first true answer of `ready`, asked every 50 ms; fails with `what` after `deadline` seconds."""
    end = time.monotonic() + deadline
    while not (answer := ready()):
        assert time.monotonic() < end, f"waited {deadline} s for: {what}"
        time.sleep(0.05)
    return answer


def clean_environment(home: Path, **more: str) -> dict[str, str]:
    """An environment in which no setting of this machine's user changes what pip, uv or our commands do.

    State goes to `home`. What the network needs here (certificates) is kept.
    """
    kept = {name: value for name, value in os.environ.items() if name.startswith(("SSL_", "REQUESTS_CA"))}
    return {
        **kept,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "PACKHORSE_HOME": str(home),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "UV_NO_CONFIG": "1",
        "UV_CACHE_DIR": str(home / "cache" / "uv"),
        **more,
    }


def run_command(
    *command: str | Path,
    env: Mapping[str, str],
    cwd: Path | None = None,
    timeout: float = 120,
    status: int | None = 0,
) -> subprocess.CompletedProcess[str]:
    """Run `command` to its end; fails with its output when it does not end with `status` (None: any)."""
    done = subprocess.run(
        list(map(str, command)),
        env=dict(env),
        cwd=cwd,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if status is not None:
        assert done.returncode == status, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


@dataclass(frozen=True)
class Mirror:
    """A real devpi-server of our making, and the folder in which all its state lies."""

    url: str
    home: Path

    def index_url(self, index: str) -> str:
        """What installers get as --index-url, for an index such as `company/dev`."""
        return f"{self.url}/{index}/+simple/"

    @property
    def credentials(self) -> dict[str, str]:
        """User name -> password."""
        kept = state.read_credentials(state.Folder(self.home))
        assert kept is not None
        return kept.users

    @property
    def environment(self) -> dict[str, str]:
        """For commands that work with this mirror."""
        return clean_environment(self.home)

    def run(
        self, *command: str | Path, cwd: Path | None = None, timeout: float = 120, status: int | None = 0
    ) -> subprocess.CompletedProcess[str]:
        """`run_command` in this mirror's environment."""
        return run_command(*command, env=self.environment, cwd=cwd, timeout=timeout, status=status)


def completed(environment: Mapping[str, str], line: str) -> set[str]:
    """What the shell offers for the last word of a begun command line of `mirror` or `release`."""
    program, *words = line.split(" ")
    asked = {
        f"_{program.upper()}_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words)),
    }
    done = run_command(BIN / program, env={**environment, **asked}, status=None)
    return {entry.partition(",")[2] for entry in done.stdout.splitlines() if entry}


@contextmanager
def short_home() -> Iterator[Path]:
    """A PACKHORSE_HOME for one test; its path is short because UNIX socket paths end at 107 bytes."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="ph") as home:
        yield Path(home)


@contextmanager
def running_mirror(
    settings: str = "", host: str = "127.0.0.1", place: Path | None = None
) -> Iterator[Mirror]:
    """A mirror that `mirror serve` serves, with `settings` in its mirror.toml; all made in `place`, if given.

    One that hosts reach, through a network of the test's own, speaks plain HTTP.
    """
    clear = "" if host.startswith("127.") else "allow_http = true\n"
    with nullcontext(place) if place else short_home() as home:
        port = free_port()
        (home / "mirror.toml").write_text(f'host = "{host}"\nport = {port}\n{clear}{settings}')
        run = partial(run_command, BIN / "mirror", env=clean_environment(home), cwd=home)
        if place:
            run("init")
        else:
            copy_data(state.Folder(home))
        run("serve", "--background")
        try:
            _match(home)
            yield Mirror(f"http://{host}:{port}", home)
        finally:
            run("stop")


def _match(home: Path) -> None:
    """Make users and indexes as `mirror init` does while a server runs, without the start of a Python."""
    request = init.InitRequest(config.load(home / "mirror.toml"))
    for _ in init.run(request, state.Folder(home), lambda _: None):
        pass


def copy_data(folder: state.Folder) -> None:
    """Give `folder` data as devpi-init makes it, with a secret and an identity of its own."""
    shutil.copytree(_data().root, folder.root)
    folder.secret.write_text(secrets.token_hex(32))
    node = folder.server / ".nodeinfo"
    node.write_text(json.dumps({**json.loads(node.read_text()), "uuid": uuid.uuid4().hex}))


@cache
def _data() -> state.Folder:
    """The folder of a mirror with the data of devpi-init and a password of root, made once."""
    home = Path(tempfile.mkdtemp(dir="/tmp", prefix="ph"))
    atexit.register(shutil.rmtree, home)
    folder = state.Folder(home)
    folder.root.mkdir(mode=0o700)
    password = secrets.token_hex(24)
    state.write_credentials(folder, state.Credentials("", {"root": password}))
    devpi_init.initialise(folder, password)
    return folder
