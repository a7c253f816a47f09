"""What circus starts for a port: its listener in, every connection's bytes to and from who serves out.

A copy lies beside circus.ini, and imports nothing but the standard library.
"""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

CHUNK = 64 * 1024
PORT = "port-"
"""What a link starts with that leads to a port of this machine, and not to a socket beside it."""


async def main(link: Path, listener: socket.socket) -> None:
    """Forward until SIGTERM, then let the connections that there are come to their end."""
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
    """Both ways between a client and where `link` leads at this moment; nowhere: the connection is closed."""
    try:
        there, to = await connect(link)
    except OSError:
        return
    try:
        await asyncio.gather(pipe(reader, to), pipe(there, writer))
    finally:
        to.close()


async def connect(link: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to where `link` leads. Raises OSError."""
    target = link.readlink().name  # noqa: ASYNC240  # of a file system in memory
    if target.startswith(PORT):
        return await asyncio.open_connection("127.0.0.1", int(target.removeprefix(PORT)))
    return await asyncio.open_unix_connection(str(link))  # the kernel follows it: no moment in between


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One way, until its end, which is passed on."""
    try:
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:  # one side has gone: so must the other
        writer.transport.abort()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), socket.socket(fileno=os.dup(int(sys.argv[2])))))
