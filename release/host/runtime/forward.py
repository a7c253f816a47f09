"""Forward every connection of the public port to the release that serves at that moment.

circus starts a copy of this file beside circus.ini; it imports the standard library only.
"""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

CHUNK = 64 * 1024
PORT = "port-"
"""Prefix of a link to a port of this machine; other links name a socket beside them."""


async def main(link: Path, listener: socket.socket) -> None:
    """Forward until SIGTERM, then wait until all connections have ended."""
    connections: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task  # noqa: S101  # for mypy: we are one
        connections.add(task)
        try:
            await forward(link, reader, writer)
        finally:
            writer.close()
            connections.discard(task)

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = await asyncio.start_server(accept, sock=listener)
    await stop.wait()
    server.close()
    await asyncio.gather(*connections, return_exceptions=True)


async def forward(link: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy bytes both ways between a client and the target of `link`; without one, close the connection."""
    try:
        there, to = await connect(link)
    except OSError:
        return
    try:
        await asyncio.gather(pipe(reader, to), pipe(there, writer))
    finally:
        to.close()


async def connect(link: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the target of `link`. Raises OSError."""
    target = link.readlink().name  # noqa: ASYNC240  # of a file system in memory
    if target.startswith(PORT):
        return await asyncio.open_connection("127.0.0.1", int(target.removeprefix(PORT)))
    return await asyncio.open_unix_connection(str(link))  # the kernel follows it: no moment in between


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy bytes one way, up to and including the end of the stream."""
    try:
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:  # one side has gone: so must the other
        writer.transport.abort()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), socket.socket(fileno=os.dup(int(sys.argv[2])))))
