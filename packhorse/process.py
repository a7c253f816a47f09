"""Run programs from argument lists, never through a shell, and turn their failures into errors."""

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from packhorse.errors import PackhorseError

LAST_LINES = 20
"""How many lines of each stream of a failed program its error shows."""
TIMED_OUT = 124
"""The exit status of a program that was killed because it took too long, as timeout(1) has it."""


@dataclass(frozen=True)
class Finished:
    """A process that has ended: its exit status and what it printed, both streams decoded leniently."""

    status: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """Everything it printed."""
        return f"{self.stdout}{self.stderr}".strip()


class Runner(Protocol):
    """Runs a program to its end. Tests pass a fake of their own."""

    def __call__(
        self,
        command: Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Finished:
        """Run `command` with exactly `env` (None: our own environment) and no standard input.

        After `timeout` seconds it is killed, and ends with TIMED_OUT.
        """


def run(
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
    stdin: str = "",
) -> Finished:
    """Run `command` to its end, with the text `stdin`; after `timeout` seconds it is killed, with TIMED_OUT.

    Raises FileNotFoundError when there is no such program.
    """
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=None if env is None else dict(env),
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired as late:
        return Finished(TIMED_OUT, "", f"{late}\n")
    return Finished(done.returncode, done.stdout, done.stderr)


def read(command: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float) -> tuple[int, bytes]:
    """The status of `command` and the bytes that it wrote to stdout; it has our stdin and stderr, to ask.

    After `timeout` seconds it is killed, with TIMED_OUT. Raises FileNotFoundError or PermissionError.
    """
    try:
        done = subprocess.run(command, cwd=cwd, env=env, stdout=subprocess.PIPE, check=False, timeout=timeout)
    except subprocess.TimeoutExpired:
        return TIMED_OUT, b""
    return done.returncode, done.stdout


def attached(command: Sequence[str]) -> int:
    """Run `command`, such as an editor, with our terminal, and return its status. Ctrl-C is for it alone."""
    before = signal.signal(signal.SIGINT, lambda *_: None)  # not SIG_IGN, which it would inherit
    try:
        with subprocess.Popen(command) as process:
            try:
                return process.wait()
            except BaseException:
                process.kill()
                process.wait()
                raise
    finally:
        signal.signal(signal.SIGINT, before)


def hide_arguments(assignments: Collection[str]) -> None:
    """Overwrite the values of `assignments` (NAME=VALUE) among the arguments of this process.

    One that begins with no name may be a value alone: it is overwritten as a whole.

    All users of a machine read /proc/PID/cmdline, as ps does. Elsewhere than on Linux nothing happens.
    """
    hidden = {os.fsencode(assignment) for assignment in assignments}
    with contextlib.suppress(OSError):
        arguments = Path("/proc/self/cmdline").read_bytes().split(b"\0")
        # Fields of proc(5) after the name in brackets, which may hold anything: arg_start is the 48th.
        position = int(Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()[45])
        with Path("/proc/self/mem").open("r+b", buffering=0) as memory:
            for argument in arguments:
                if argument in hidden:
                    found = re.match(rb"[A-Za-z_]\w*(=|$)", argument)
                    shown = found.end() if found else 0
                    memory.seek(position + shown)
                    memory.write(b"*" * (len(argument) - shown))
                position += len(argument) + 1


def failure(done: Finished, message: str, hint: str) -> PackhorseError:
    """The error for a program that has failed, with the last lines of both of its streams.

    Of both: build backends write progress to one and the cause to the other, and not all the same way round.
    """
    streams = (done.stdout.rstrip().splitlines(), done.stderr.rstrip().splitlines())
    lines = [line for stream in streams for line in stream[-LAST_LINES:]]
    return PackhorseError(message, hint, detail="\n".join(lines))


# What installers, and build backends of strangers, get of our environment: it may hold secrets, in variables
# that nobody thought of. Of pip and uv settings about network and disk: any other could
# add a place to install from.
_INHERITED = {
    *("PIP_CERT", "PIP_CLIENT_CERT", "PIP_PROXY", "PIP_DEFAULT_TIMEOUT"),
    *("UV_CACHE_DIR", "UV_HTTP_TIMEOUT", "UV_NATIVE_TLS", "UV_SYSTEM_CERTS"),
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TZ", "TMPDIR", "XDG_CACHE_HOME"),
    *("LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LC_MESSAGES", "LC_COLLATE", "LC_NUMERIC", "LC_TIME"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("SOURCE_DATE_EPOCH", "PYTHONHASHSEED", "SETUPTOOLS_SCM_PRETEND_VERSION", "PBR_VERSION"),
    *("CC", "CXX", "CPP", "FC", "LD", "AR", "AS", "NM", "RANLIB", "STRIP", "MAKE", "MAKEFLAGS"),
    *("CFLAGS", "CXXFLAGS", "CPPFLAGS", "FFLAGS", "FCFLAGS", "LDFLAGS", "ARCHFLAGS", "RUSTFLAGS"),
    *("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "LIBRARY_PATH", "LD_LIBRARY_PATH"),
    *("PKG_CONFIG", "PKG_CONFIG_PATH", "CMAKE_PREFIX_PATH", "CMAKE_GENERATOR", "CARGO_HOME", "RUSTUP_HOME"),
    *("JAVA_HOME", "MACOSX_DEPLOYMENT_TARGET", "SDKROOT", "DEVELOPER_DIR"),
}


def installer_environment(index_url: str, home: Path, more: Collection[str] = ()) -> dict[str, str]:
    """The environment of installers and build backends: what they need, one index, and nothing else of ours.

    Secrets of the caller stay out, and so do settings of the user or the machine that add places to install
    from (`extra-index-url`, `find-links`): a second place is how dependency confusion happens (pip #8606).
    Proxies, certificates, time limits, locale and compilers stay; `more` names what the user adds to them.
    """
    added = {name for name in more if not name.startswith(("PIP_", "UV_"))}
    inherited = {name: value for name, value in os.environ.items() if name in _INHERITED | added}
    return {
        "UV_CACHE_DIR": str(home / "cache" / "uv"),
        **inherited,
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_INDEX_URL": index_url,
        "PIP_NO_INPUT": "1",
        "UV_DEFAULT_INDEX": index_url,
        "UV_NO_CONFIG": "1",
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
    }
