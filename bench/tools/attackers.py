"""Clients that try to stop a server from one address, in a process of their own."""

import asyncio
import contextlib
import multiprocessing
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

ADDRESS = "127.0.0.2"  # well-behaved clients have another one


@dataclass(frozen=True)
class Attack:
    """`connections` at once that send `request`, in which {file} is the path of a large file.

    With `drip` they send these bytes each second for ever and read nothing. Without, they read what is
    answered, close and begin again.
    """

    request: str
    connections: int = 250
    drip: bytes | None = None
    body: bytes = b""


def _post(path: str, *headers: str) -> str:
    return "\n".join([f"POST {path} HTTP/1.1", "Host: mirror", *headers, "", ""])


LOGIN = b'{"user": "root", "password": "wrong"}'
ATTACKS: Mapping[str, Attack] = {
    "idle connections": Attack("", drip=b""),
    "slow heads": Attack("GET /+api HTTP/1.1\nHost: mirror\nX-Slow: ", drip=b"x"),
    "slow bodies": Attack(_post("/+login", "Content-Length: 1000"), drip=b"x"),
    "answers that nobody reads": Attack("GET {file} HTTP/1.1\nHost: mirror\n\n", drip=b""),
    "new connections": Attack("GET /+api HTTP/1.1\nHost: mirror\nConnection: close\n\n", 50),
    "huge heads": Attack("GET /+api HTTP/1.1\nHost: mirror\nX-Large: " + "x" * 1_000_000 + "\n\n", 20),
    "bodies of 20 MB without a password": Attack(
        _post("/company/dev/", "Content-Length: 20000000"), 8, body=b"x" * 20_000_000
    ),
    "wrong passwords": Attack(
        _post(
            "/+login", "Content-Type: application/json", f"Content-Length: {len(LOGIN)}", "Connection: close"
        ),
        20,
        body=LOGIN,
    ),
    "a thousand ranges": Attack(
        "GET {file} HTTP/1.1\nHost: mirror\nConnection: close\n"
        f"Range: bytes={','.join(f'{start}-' for start in range(1000))}\n\n",
        8,
    ),
}


@contextlib.contextmanager
def attack(port: int, what: Attack, file: str) -> Iterator[None]:
    """Attack the server on `port` until the block ends."""
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(port, what, file), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def _run(port: int, what: Attack, file: str) -> None:
    sent = what.request.replace("\n", "\r\n").replace("{file}", file).encode() + what.body
    client = _read if what.drip is None else _hold
    asyncio.run(_all(client, what.connections, port, sent, what.drip or b""))


async def _all(client: Callable[..., Coroutine[Any, Any, None]], connections: int, *args: object) -> None:
    async def again_and_again() -> None:
        while True:
            with contextlib.suppress(OSError):
                await client(*args)
            await asyncio.sleep(0.01)

    await asyncio.gather(*(again_and_again() for _ in range(connections)))


async def _hold(port: int, sent: bytes, drip: bytes) -> None:
    """One connection, until the server closes it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(ADDRESS, 0), limit=1)
    try:
        writer.write(sent)
        while not reader.at_eof() and not writer.is_closing():
            await asyncio.sleep(1)
            writer.write(drip)
            await writer.drain()
    finally:
        writer.transport.abort()


async def _read(port: int, sent: bytes, _: bytes) -> None:
    """One request and its answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(ADDRESS, 0))
    try:
        writer.write(sent)
        while await reader.read(1_000_000):
            pass
    finally:
        writer.transport.abort()
