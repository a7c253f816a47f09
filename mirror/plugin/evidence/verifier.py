"""Verify provenance objects (PEP 740) in a process of their own, offline, within limits on time and memory.

pypi-attestations loads for a second and takes 70 MB, and reads what strangers wrote. So it runs in a child
process, which is started when it is needed and ends when nobody has needed it for a while.
"""

import contextlib
import importlib.util
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

LARGEST = 1_000_000  # bytes of a provenance object; real ones have 10 kB
MEMORY = 400_000_000  # bytes of data
SECONDS = 2.0  # of processor time for one file; an attestation takes 3 ms
PATIENCE = 60  # seconds for an answer, on a machine that is busy
IDLE = 120.0  # seconds until the process ends
PACKAGE = "pypi_attestations"


class Verified(NamedTuple):
    """The publishers for whom attestations of a file verify, or why none do: "does not verify: …"."""

    publishers: tuple[dict[str, str], ...]
    problem: str = ""


class UnavailableError(Exception):
    """Nothing can be verified now; says why."""


class _Question(NamedTuple):
    filename: str
    sha256: str
    content: bytes
    root: str  # path of a trust root; "" for the one that comes with sigstore


class Verifier:
    """The process; one file at a time. Thread-safe."""

    def __init__(self, trust_root: Path) -> None:
        """`trust_root`: a trusted_root.json that, if it is there, counts instead of sigstore's."""
        self._trust_root = trust_root
        self._lock = threading.Lock()
        self._child: _Child | None = None

    def verify(self, filename: str, sha256: str, content: bytes) -> Verified:
        """Verify what a provenance object says of a file. Raises UnavailableError."""
        if importlib.util.find_spec(PACKAGE) is None:
            raise UnavailableError("cannot be verified: packhorse[provenance] is not installed on the mirror")
        root = str(self._trust_root) if self._trust_root.exists() else ""
        with self._lock:
            if self._child and self._child.has_ended():
                self._child.end()
                self._child = None
            self._child = self._child or _Child()
            try:
                return self._child.ask(_Question(filename, sha256, content, root))
            except UnavailableError:
                self._child = None
                raise

    def end(self) -> None:
        """End the process."""
        with self._lock:
            if self._child:
                self._child.end()
            self._child = None


class _Child:
    """Ends by itself when this process does, however that ends: nobody is at the other end then."""

    def __init__(self) -> None:
        ours, its = socket.socketpair()
        for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
            ours.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", PATIENCE, 0))  # struct timeval
        self._channel = Connection(ours.detach())
        with its:
            command = [sys.executable, "-Ic", f"from {__name__} import main; main()"]
            self._process = subprocess.Popen(
                command, stdin=its.fileno(), stdout=subprocess.DEVNULL, cwd="/", start_new_session=True
            )

    def ask(self, question: _Question) -> Verified:
        """Raises UnavailableError."""
        try:
            self._channel.send(question)
            answer: Verified = self._channel.recv()
        except (EOFError, OSError) as error:
            self.end()
            if self._process.returncode == -signal.SIGPROF:
                return Verified((), f"does not verify: it takes more than {SECONDS:g} s of processor time")
            raise UnavailableError(f"could not be verified: {type(error).__name__}") from error
        return answer

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._channel.close()


def main() -> None:
    """Answer what the parent process asks, until it is gone or has no more questions."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    from mirror.plugin.evidence import attestations  # loads pypi-attestations

    with Connection(0) as channel, contextlib.suppress(EOFError, ConnectionError):
        while channel.poll(IDLE):
            question = channel.recv()
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            publishers, problem = attestations.verify(*question)
            signal.setitimer(signal.ITIMER_PROF, 0)
            channel.send(Verified(tuple(publishers), problem))
