"""The promises of release.host.runtime.forward, over real sockets."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from release.host.runtime import forward
from tests.support.servers import short_home


@contextmanager
def forwarding(link: Path) -> Iterator[tuple[int, "subprocess.Popen[bytes]"]]:
    """A port that is forwarded to where `link` leads, and the process that does it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.fileno()
        command = [sys.executable, "-IS", forward.__file__, str(link), str(number)]
        with subprocess.Popen(command, pass_fds=[number]) as process:
            try:
                yield listener.getsockname()[1], process
            finally:
                process.kill()


def serve(folder: Path, name: str) -> socket.socket:
    """A listener that the link leads to."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / name))
    listener.listen()
    (folder / "web.sock").unlink(missing_ok=True)
    (folder / "web.sock").symlink_to(name)
    listener.settimeout(10)
    return listener


def test_bytes_go_both_ways_to_where_the_link_leads() -> None:
    """Also after one side has said all that it had to say; a switch counts for the next connection."""
    with short_home() as folder, forwarding(folder / "web.sock") as (port, process):
        for name in ("a", "b"):
            with serve(folder, name) as listener, socket.create_connection(("127.0.0.1", port), 10) as client:
                client.sendall(b"question")
                client.shutdown(socket.SHUT_WR)
                there, _ = listener.accept()
                with there:
                    there.settimeout(10)
                    assert there.recv(100) == b"question"
                    assert there.recv(100) == b""
                    if name == "b":  # what has begun is finished
                        process.send_signal(signal.SIGTERM)
                    there.sendall(b"answer")
                assert client.recv(100) == b"answer"
                assert client.recv(100) == b""
        assert process.wait(60) == 0


def test_without_a_release_connections_are_closed(tmp_path: Path) -> None:
    """A client that waits for ever would be worse."""
    with (
        forwarding(tmp_path / "web.sock") as (port, _),
        socket.create_connection(("127.0.0.1", port), 10) as one,
    ):
        one.settimeout(10)
        assert one.recv(1) == b""
