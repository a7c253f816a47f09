"""Reach hosts with the OpenSSH client: its command line, and the meaning of its failures."""

import contextlib
import os
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from packhorse import process
from packhorse.errors import PackhorseError
from release.agents import agent_archive
from release.config.unchecked import HOST_NAME
from release.host.disk.layout import SERVER_ROOT

PYTHON = "/opt/packhorse/toolbox/bin/python"
"""The toolbox that provisioning makes on every host."""

# Everything else is the user's: ~/.ssh/config, agent, ProxyJump, known_hosts.
OPTIONS = {
    "BatchMode": "yes",  # a question would wait for ever
    "ConnectTimeout": "10",
    "ServerAliveInterval": "5",
    "ServerAliveCountMax": "3",
    "StrictHostKeyChecking": "yes",
    "ClearAllForwardings": "yes",  # two sessions cannot listen on one port
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "ControlMaster": "auto",  # only who sets ControlPath has any: then the next command finds it open, and
    "ControlPersist": "60",  # it is a process of its own, so that ours ends although others use it, too
    "RemoteCommand": "none",
    "RequestTTY": "no",
    "LogLevel": "ERROR",  # the reasons of failures, not the banners
}
RUN_TIMEOUT = 60.0
CONFIG = "RELEASE_SSH_CONFIG"
"""Environment variable: a file instead of ~/.ssh/config, for tests and for CI."""


@dataclass(frozen=True)
class SshDestination:
    """The application's own user on a host, reached through `ssh`; `name` is the host's in release.toml.

    `targets`: those of release.toml, when the host was named instead of one of them. `skippable`: the command
    has `--skip`, and other hosts.
    """

    name: str
    user: str
    app: str
    targets: tuple[str, ...] = ()
    skippable: bool = field(default=False, compare=False)

    def command(self) -> list[str]:
        return self.to(agent_archive.command(PYTHON, str(SERVER_ROOT / self.app / "agent")))

    def login(self, there: Sequence[str]) -> list[str]:
        """The argument list of a person's session, with a terminal: for the command `there`, or a shell."""
        own = ("BatchMode", "RequestTTY", "LogLevel")  # ssh may ask, and says what it has to say
        options = [f"-o{key}={value}" for key, value in OPTIONS.items() if key not in own]
        command = [shlex.join(there)] if there else []
        wants = ["-t"] if there and sys.stdin.isatty() and sys.stdout.isatty() else []
        return ["ssh", *_config(), *options, *wants, "-l", self.user, "--", self.name, *command]

    def run(self, there: Sequence[str]) -> process.Finished:
        """Run the command `there`, which needs no agent, to its end."""
        return process.run(self.to(there), timeout=RUN_TIMEOUT)

    def run_if_connected(self, there: Sequence[str], seconds: float) -> str:
        """Run the command `there` over a connection that is open already; its output, "" without one."""
        if is_connected(self.name, self.user, seconds):
            return process.run(self.to(there), timeout=seconds).stdout
        return ""

    def to(self, there: Sequence[str]) -> list[str]:
        """The argument list of a session without a terminal, for the command `there`."""
        options = [part for key, value in OPTIONS.items() for part in ("-o", f"{key}={value}")]
        return ["ssh", *_config(), *options, "-l", self.user, "--", self.name, shlex.join(there)]

    def explain(self, status: int, stderr: str, *, greeted: bool) -> PackhorseError:
        if greeted or status != 255:
            message, hint = _of_agent(status, f"Try: {_try(self.name, self.user)} true", greeted=greeted)
            return PackhorseError(message, hint, detail=stderr if status != 255 else "")
        targets = ", ".join(dict.fromkeys(["local", *self.targets])) if self.targets else ""
        return _of_ssh(
            self.name,
            self.user,
            stderr,
            denied="Put your key into authorized_keys ([targets.….provision]), and: release provision.",
            targets=f", and it is none of the targets {targets}" if targets else "",
            skip=f"; the other hosts of its target do without it: --skip {self.name}"
            if self.skippable
            else "",
        )


# Root has no password to give to sudo, and there may be no sudo where one logs in as root.
_BECOME_ROOT = 'if [ "$(id -u)" = 0 ]; then exec "$@"; else exec sudo -n -- "$@"; fi'


def as_root(host: str, user: str | None, there: Sequence[str], *, terminal: bool = False) -> list[str]:
    """The argument list that runs `there` on `host` as root: logged in as root, or as `user` through sudo.

    None: as who ssh logs in by itself. With `terminal`, ours is passed on.
    """
    own = ("BatchMode", "RequestTTY", "LogLevel") if terminal else ()
    options = [part for key, value in OPTIONS.items() if key not in own for part in ("-o", f"{key}={value}")]
    login = ["-l", user] if user else []
    wants = ["-t"] if terminal else []
    command = shlex.join(["sh", "-c", _BECOME_ROOT, "sh", *there])
    return ["ssh", *_config(), *options, *wants, *login, "--", host, command]


def root_failure(host: str, user: str | None, stderr: str) -> PackhorseError:
    """The error when ssh itself has failed (status 255) with a command of `as_root`."""
    return _of_ssh(
        host, user, stderr, denied='Say who may: user = "…" in the table of that host in release.toml.'
    )


def is_connected(host: str, user: str | None, seconds: float) -> bool:
    """Whether a connection to `host` is open already (ControlPath)."""
    login = ["-l", user] if user else []
    with contextlib.suppress(FileNotFoundError):
        return (
            process.run(["ssh", *_config(), "-O", "check", *login, "--", host], timeout=seconds).status == 0
        )
    return False


def hostname(host: str) -> str:
    """The name or address at which ssh reaches `host`, from its configuration."""
    settings = ""
    with contextlib.suppress(FileNotFoundError):  # without ssh nothing comes of it
        settings = process.run(["ssh", *_config(), "-G", "--", host]).stdout
    found = re.search(r"^hostname (\S+)$", settings, re.MULTILINE)
    return found[1] if found else host


def names(host: str) -> list[str]:
    """The names by which users may know `host`, as nginx writes them: that of the network, and this one."""
    there = hostname(host)
    # An alias is known here only: the URL gets the other name.
    both = [host, there] if re.search(r"[.:]", host) else [there, host]
    usable = [name.lower() for name in both if re.fullmatch(r"[A-Za-z0-9_.:-]+", name)]
    return list(dict.fromkeys(f"[{name}]" if ":" in name else name for name in usable))


def aliases() -> list[str]:
    """The names of hosts in ssh's configuration, without patterns; files that it includes are not read."""
    try:
        text = Path(os.environ.get(CONFIG) or Path.home() / ".ssh" / "config").read_text("utf-8", "replace")
    except OSError:
        return []
    lines = re.findall(r"^\s*Host(?:\s+|\s*=\s*)(.+)$", text, re.IGNORECASE | re.MULTILINE)
    return sorted({name for line in lines for name in line.split() if re.fullmatch(HOST_NAME, name)})


def _config() -> list[str]:
    return ["-F", os.environ[CONFIG]] if os.environ.get(CONFIG) else []


# Text on ssh's stderr, its meaning, and what to do now; the first that fits.
_REASONS = (
    (
        "Could not resolve hostname",
        "ssh finds no host of this name{targets}: {last}",
        "Correct the name; hosts have names in ~/.ssh/config or in DNS, targets in release.toml.",
    ),
    (
        "IDENTIFICATION HAS CHANGED",
        "its host key is not the one in known_hosts.",
        "If it was installed anew: ssh-keygen -R {name}, and connect once by hand. If not: who is that?",
    ),
    (
        "Host key verification failed",
        "its host key is not known here.",
        "Connect once by hand and compare the key: {ssh}",
    ),
    ("Permission denied", "{user} may not log in: {last}", "{denied} Try: {ssh} true"),
    ("", "it cannot be reached: {last}", "Try: {ssh} true{skip}"),
)


def _try(host: str, user: str | None) -> str:
    """The command line by which a person logs in."""
    return shlex.join(["ssh", *_config(), f"{user}@{host}" if user else host])


def _of_agent(status: int, attempt: str, *, greeted: bool) -> tuple[str, str]:
    """Message and hint for the end of an agent. sh(1): 126 and 127 are no such program."""
    if greeted:
        what = "the connection was lost" if status == 255 else f"the agent ended without an answer ({status})"
        return f"{what}.", "What was being done there stops at the next safe point; look: release status"
    if status in {126, 127}:
        return f"there is no {PYTHON}.", "Prepare the host: release provision"
    return f"the agent did not start (status {status}).", attempt


def _of_ssh(host: str, user: str | None, stderr: str, **words: str) -> PackhorseError:
    """The error of ssh itself (ssh(1): status 255); `user` None: it says itself who logs in."""
    message, hint = next(texts for sign, *texts in _REASONS if sign in stderr)
    last = stderr.rpartition("\n")[2].strip() or "ssh gives no reason"
    words = {"targets": "", "skip": "", "name": host, "user": user or "you", "last": last, **words}
    words["ssh"] = _try(host, user)
    return PackhorseError(message.format(**words), hint.format(**words))
