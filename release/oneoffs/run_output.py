"""Print what one-offs write: as it comes, with the host in front of each line, or collected for JSON."""

import codecs
import os
from collections.abc import Collection
from dataclasses import replace
from typing import Any, Protocol

from packhorse import console
from release.agents.controller import Outcome

LONGEST = 65536
"""Bytes of a line that wait for its end."""


class Output(Protocol):
    """Takes what one-offs write."""

    def __call__(self, host: str, stream: int, data: bytes) -> None:
        """Take `data`, which the one-off on `host` has written to stdout (1) or stderr (2)."""

    def finish(self) -> None:
        """Print what is left."""


class Through:
    """Prints the output of one host: its bytes, but harmless ones on a terminal that is not its own."""

    def __init__(self, *, terminal: bool) -> None:
        kinds = {stream: not terminal and os.isatty(stream) for stream in (1, 2)}
        make = codecs.getincrementaldecoder("utf-8")
        self.decoders = {stream: make("surrogateescape") for stream, shown in kinds.items() if shown}

    def __call__(self, host: str, stream: int, data: bytes) -> None:
        del host  # there is one
        if decoder := self.decoders.get(stream):
            console.echo(decoder.decode(data), err=stream == 2, nl=False)
        else:
            console.write_bytes(data, stream)

    def finish(self) -> None:
        for stream, decoder in self.decoders.items():
            console.echo(decoder.decode(b"", final=True), err=stream == 2, nl=False)


class Prefixed:
    """Prints whole lines of several hosts, each with its host in front."""

    def __init__(self, hosts: Collection[str]) -> None:
        self.width = max(map(len, hosts))
        self.begun: dict[tuple[str, int], bytes] = {}

    def __call__(self, host: str, stream: int, data: bytes) -> None:
        *lines, rest = (self.begun.pop((host, stream), b"") + data).split(b"\n")
        if len(rest) > LONGEST:
            lines, rest = [*lines, rest], b""
        if rest:
            self.begun[host, stream] = rest
        self._print(host, stream, lines)

    def finish(self) -> None:
        for (host, stream), rest in self.begun.items():
            self._print(host, stream, [rest])

    def _print(self, host: str, stream: int, lines: list[bytes]) -> None:
        head = f"{host:{self.width}}  ".encode()
        data = b"".join(b"%s%s\n" % (head, line) for line in lines)
        if os.isatty(stream):
            console.echo(os.fsdecode(data), err=stream == 2, nl=False)
        elif data:
            console.write_bytes(data, stream)


class Collected:
    """Keeps the first `most` bytes of each stream of each host."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.streams: dict[tuple[str, int], bytearray] = {}
        self.cut: set[str] = set()

    def __call__(self, host: str, stream: int, data: bytes) -> None:
        kept = self.streams.setdefault((host, stream), bytearray())
        room = self.most - len(kept)
        kept += data[:room]
        if len(data) > room:
            self.cut.add(host)

    def finish(self) -> None:
        pass

    def added(self, outcome: Outcome) -> Outcome:
        """`outcome`, where each host has `stdout` and `stderr`; `truncated`: it has written more."""
        hosts = [replace(host, last={**(host.last or {}), **self._of(host.name)}) for host in outcome.hosts]
        return replace(outcome, hosts=tuple(hosts))

    def _of(self, host: str) -> dict[str, Any]:
        texts = {
            name: bytes(self.streams.get((host, stream), b"")).decode("utf-8", "replace")
            for stream, name in ((1, "stdout"), (2, "stderr"))
        }
        return {**texts, "truncated": host in self.cut}
