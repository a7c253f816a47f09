#!/usr/bin/python3 -I
"""Take hosts out of the vhosts of this balancer: those that fail, and those that a deploy switches.

    packhorse-balancer serve          what systemd runs: asks every host, and listens to deploys
    packhorse-balancer talk           what deploys run through ssh: connects them with it
    packhorse-balancer remove NAME    leads to an application no longer (as root)

NAME is APPLICATION.TARGET. While there is a file /run/packhorse-balancer/NAME/N, nginx takes another host
than the N-th: it needs no reload, and a boot forgets it. So does a restart of `serve`, but each `talk` says
again what its deploy holds out.
"""

import asyncio
import contextlib
import fcntl
import json
import math
import os
import pwd
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SETTINGS = Path("/etc/packhorse/balancers")
STATE = Path("/run/packhorse-balancer")
SOCKET = STATE / "control.sock"
NGINX = Path("/etc/nginx/packhorse")
NGINX_LOCK = Path("/run/packhorse-port.lock")
"""Lock of all programs that change files of nginx: `nginx -t` tests the files of all."""
INTERVAL = 1.0
"""Seconds between two questions to a host, and between two looks at the settings."""
MOST_HEADERS = 100
PATIENCE = 3.0
"""Seconds for an answer."""
TURNS = 2
"""Answers of another kind than before that change what is thought of a host."""
SILENCE = 30.0
"""Seconds after which a deploy without a word counts as gone: a cut cable says nothing."""
RESTART = 10.0
"""Seconds in which `serve` comes back when it restarts."""
LONGEST = 16384
"""Bytes of a line."""
MOST = 8
"""Connections of one user."""
PACE = 0.05
"""Seconds between two lines of a connection: hosts are asked in the same event loop."""


@dataclass
class Host:
    """A host as the questions show it: `failure` says why it fails, "" that it does not, None: not known."""

    name: str
    address: str
    failure: str | None = None
    turns: int = 0

    def after(self, failure: str) -> None:
        """Take an answer in: the first counts at once, another kind than before when it comes twice."""
        if self.failure is None or bool(failure) == bool(self.failure):
            self.failure, self.turns = failure, 0
            return
        self.turns += 1
        if self.turns >= TURNS:
            self.failure, self.turns = failure, 0


@dataclass
class Application:
    """An application that is balanced here: who may take its `hosts` out, and how they are asked.

    `held`: what each connection of a deploy holds out.
    """

    user: str
    hosts: list[Host]
    health: dict[str, str]
    text: str = ""
    held: dict[int, set[str]] = field(default_factory=dict)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @classmethod
    def of(cls, text: str) -> "Application":
        """The application of a file of settings, which root has written."""
        found = json.loads(text)
        return cls(found["user"], [Host(**host) for host in found["hosts"]], found["health"], text)

    def out(self) -> set[str]:
        """The names of the hosts that get no requests."""
        failing = [host.name for host in self.hosts if host.failure]
        held = set().union(*self.held.values())
        return outside([host.name for host in self.hosts], failing, held)

    def as_json(self) -> dict[str, Any]:
        """The answer to deploys and `release status`."""
        out, held = self.out(), set().union(*self.held.values())
        return {
            "hosts": {
                host.name: {
                    "out": host.name in out,
                    "held": host.name in held,
                    "failure": host.failure or "",
                }
                for host in self.hosts
            }
        }


def outside(hosts: Sequence[str], failing: Collection[str], held: Collection[str]) -> set[str]:
    """Hosts to take out: all that fail, unless all do; of those `held` as many as leave half."""
    out = {name for name in hosts if name in failing}
    if len(out) == len(hosts):
        return set()
    for name in hosts:
        if name in held and name not in out and (len(hosts) - len(out) - 1) * 2 >= len(hosts):
            out.add(name)
    return out


def log(text: str) -> None:
    """Write a line into the journal."""
    sys.stderr.write(f"{text}\n")


async def failure_of(host: Host, health: Mapping[str, str]) -> str:
    """Ask `host`: "" when the application's vhost answers below 500; else why it counts as failing."""
    try:
        return await asyncio.wait_for(_ask(host.address, health), PATIENCE)
    except TimeoutError:
        return f"no answer within {PATIENCE:g} s"
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error) or "no answer"


async def _ask(address: str, health: Mapping[str, str]) -> str:
    reader, writer = await asyncio.open_connection(address.strip("[]"), 80)
    try:
        # nginx on the host does not log it, and has no other client's word for it.
        writer.write(
            f"GET {health['path']} HTTP/1.1\r\nHost: {health['host']}\r\nX-Packhorse-Probe: 1\r\n"
            f"X-Forwarded-Proto: {health['scheme']}\r\nConnection: close\r\n\r\n".encode()
        )
        lines = [await reader.readline()]
        found = re.match(rb"HTTP/1\.[01] ([1-9][0-9][0-9])\b", lines[0])
        if not found:
            return "no answer of HTTP" if lines[0] else "the application cannot be reached"
        if int(found[1]) >= 500:
            return f"answers {found[1].decode()}"
        while lines[-1].strip() and len(lines) <= MOST_HEADERS:
            lines.append(await reader.readline())
        # Any nginx answers something. Settings of an older Packhorse have no app, and their hosts no mark.
        marked = f"X-Packhorse-App: {health.get('app')}\r\n".encode() in lines or "app" not in health
        return "" if marked else "it is not prepared for the application: release provision"
    finally:
        writer.close()


class Balancer:
    """All applications that are balanced here, and the connections of those who deploy them."""

    def __init__(self) -> None:
        self.applications: dict[str, Application] = {}
        self.connections: dict[int, int] = {}

    async def serve(self) -> None:
        """Ask all hosts for ever, and listen."""
        SOCKET.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._connected, SOCKET, limit=LONGEST)
        SOCKET.chmod(0o666)  # each connection says who it is (SO_PEERCRED)
        async with server:
            while True:
                self.read()
                await asyncio.sleep(INTERVAL)

    def read(self) -> None:
        """Take over what root has written about applications."""
        texts = dict(_texts())
        former = {name: known for name, known in self.applications.items() if texts.get(name) != known.text}
        for name in former:
            for task in self.applications.pop(name).tasks:
                task.cancel()
        for name in texts.keys() - self.applications.keys():
            try:
                application = self.applications[name] = Application.of(texts[name])
            except (KeyError, TypeError, ValueError) as error:
                log(f"{name}: its settings are wrong: {error!r}")
                continue
            if name in former and former[name].user == application.user:  # its deploys go on
                hosts = {host.name for host in application.hosts}
                application.held = {who: held & hosts for who, held in former[name].held.items()}
            application.tasks = [
                asyncio.ensure_future(self._watch(name, application, host)) for host in application.hosts
            ]
        for folder in STATE.iterdir():
            if folder.is_dir() and folder.name not in texts:
                for file in folder.iterdir():
                    file.unlink()
                folder.rmdir()

    async def _watch(self, name: str, application: Application, host: Host) -> None:
        while True:
            failure = await failure_of(host, application.health)
            before = host.failure
            host.after(failure)
            if bool(before) != bool(host.failure):
                log(f"{name}: {host.name}: {host.failure or 'answers again'}")
            try:
                self.settle(name)
            except OSError as error:  # the disk of /run is full, say: the next turn tries again
                log(f"{name}: {error}")
            await asyncio.sleep(INTERVAL)

    def settle(self, name: str) -> None:
        """Make the files of `name` what they should be; what is in comes first, so that never all are out."""
        application = self.applications[name]
        if any(host.failure is None for host in application.hosts):
            return  # so soon after the start nobody knows whether others are left
        out, folder = application.out(), STATE / name
        folder.mkdir(exist_ok=True)
        wanted = {str(number) for number, host in enumerate(application.hosts, 1) if host.name in out}
        present = {file.name for file in folder.iterdir()}
        for number in present - wanted:
            (folder / number).unlink()
        for number in wanted - present:
            (folder / number).touch()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one deploy, or one look: lines of JSON, each answered by one, empty ones by none."""
        peer = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        uid, me = struct.unpack("3i", peer)[1], id(writer)
        self.connections[uid] = self.connections.get(uid, 0) + 1
        try:
            taken = self.connections[uid] <= MOST and self._knows(uid)
            while taken and (line := await asyncio.wait_for(reader.readline(), SILENCE)).endswith(b"\n"):
                if line.strip():
                    writer.write(json.dumps(self._answer(uid, me, line)).encode() + b"\n")
                    await asyncio.wait_for(writer.drain(), SILENCE)
                await asyncio.sleep(PACE)
        except (OSError, ValueError, RecursionError):
            pass  # it counts as gone
        finally:
            self.connections[uid] -= 1
            writer.close()
            for name, application in self.applications.items():
                if application.held.pop(me, None):
                    self.settle(name)

    def _knows(self, uid: int) -> bool:
        return any(_may(uid, application.user) for application in self.applications.values())

    def _answer(self, uid: int, me: int, line: bytes) -> dict[str, Any]:
        """Hold out what `line` says, and nothing else; tell how all hosts are."""
        asked = json.loads(line)
        name, held = (str(asked.get("name")), asked.get("hold")) if isinstance(asked, dict) else ("", None)
        application = self.applications.get(name)
        if application is None or not _may(uid, application.user):
            return {"error": "it does not lead there, or you may not change that"}
        hosts = {host.name for host in application.hosts}
        if not isinstance(held, list) or len(held) > len(hosts) or not hosts.issuperset(map(str, held)):
            return {"error": "it does not know these hosts"}
        application.held[me] = set(map(str, held))
        self.settle(name)
        return application.as_json()


def _may(uid: int, user: str) -> bool:
    """Whether the user `uid` deploys as `user`, or is root."""
    with contextlib.suppress(KeyError):
        return uid in {0, pwd.getpwnam(user).pw_uid}
    return uid == 0


def _texts() -> Iterator[tuple[str, str]]:
    for file in sorted(SETTINGS.glob("*.json")):
        with contextlib.suppress(OSError, ValueError):
            yield file.stem, file.read_text()


class Talk:
    """One deploy's connection with `serve`, which outlives a restart of that."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.link = _connect(0)
        self.held = b""  # the last line that says what to hold out
        self.heard = time.monotonic()
        self.waits = self.ended = False

    def forward(self) -> None:
        """Pass on what the deploy says on stdin, to its end."""
        stdin = open(0, "rb", buffering=0)  # noqa: SIM115  # buffers have locks, at the end of a program
        for line in iter(lambda: stdin.readline(LONGEST), b""):
            with self.lock, contextlib.suppress(OSError):  # a new connection hears it, too
                self.heard = time.monotonic()
                if line.strip():
                    self.held, self.waits = line, True
                self.link.sendall(line)
        with self.lock, contextlib.suppress(OSError):
            self.ended = True
            self.link.shutdown(socket.SHUT_WR)

    def run(self) -> None:
        """Pass on what `serve` answers, until one of both ends, or the deploy is silent."""
        threading.Thread(target=self.forward, daemon=True).start()
        is_known = False  # the next answer is to what was answered before
        lost = -math.inf
        while True:
            if self._listen(is_known=is_known):
                lost = time.monotonic()
            now = time.monotonic()
            # Who never had an answer is not known there; a cut cable says nothing.
            if self.ended or now - lost > RESTART or now - self.heard > SILENCE:
                break
            time.sleep(0.1)
            with self.lock:
                self.link = _connect(RESTART)
                is_known = not self.waits
                with contextlib.suppress(OSError):  # it took the connection, and ended
                    self.link.sendall(self.held)

    def _listen(self, *, is_known: bool) -> int:
        """Write answers to stdout, without the first one if it `is_known`; how many came."""
        count = 0
        with self.link, self.link.makefile("rb") as stream, contextlib.suppress(OSError):
            for line in iter(lambda: stream.readline(LONGEST), b""):
                count += 1
                if count > 1 or not is_known:
                    self.waits = False
                    os.write(1, line)
        return count


def _connect(seconds: float) -> socket.socket:
    """A connection with `serve`, which may take so many seconds to be there."""
    until = time.monotonic() + seconds
    while True:
        link = socket.socket(socket.AF_UNIX)
        try:
            link.connect(str(SOCKET))
        except OSError:
            link.close()
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
        else:
            return link


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait until nobody else changes files of nginx."""
    path.touch(0o600)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def remove(name: str) -> None:
    """Lead to an application no longer. Its certificate, user and logs stay; all does when nginx refuses."""
    if not re.fullmatch(r"[a-z0-9-]+\.[a-z0-9-]+", name) or not (SETTINGS / f"{name}.json").exists():
        raise ValueError(f"{name} is not balanced here: see {SETTINGS}")
    places = [NGINX / f"{name}.conf", NGINX / f"{name}.upstream.conf", NGINX / f"{name}.tls"]
    places += [Path(f"/etc/logrotate.d/packhorse-{name}"), SETTINGS / f"{name}.json"]
    places += [Path(f"/etc/packhorse/acme/{name}.json")]  # without it packhorse-acme@.service does not start
    with locked(NGINX_LOCK):
        kept = {path: (path.read_bytes(), path.stat().st_mode) for path in places if path.exists()}
        for path in kept:
            path.unlink()
        test, reload = ["nginx", "-t", "-q"], ["nginx", "-s", "reload"]
        try:
            subprocess.run(test, check=True)
        except BaseException:
            for path, (text, mode) in kept.items():
                path.touch(mode & 0o777)
                path.write_bytes(text)
            raise
        subprocess.run(reload, check=True)


def main(command: str = "", *arguments: str) -> None:
    """Do what `command` says."""
    if (command, arguments) == ("serve", ()):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        asyncio.run(Balancer().serve())
    elif (command, arguments) == ("talk", ()):
        Talk().run()
    elif command == "remove" and len(arguments) == 1:
        remove(*arguments)
    else:
        raise ValueError("say serve, talk, or remove APPLICATION.TARGET")


if __name__ == "__main__":
    os.environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    try:
        main(*sys.argv[1:])
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        sys.exit(f"packhorse-balancer: {error}")
