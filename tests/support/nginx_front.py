"""A real nginx in front of a real mirror, with the configuration of `mirror front`."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from tests.support import debian_packages
from tests.support.mirror_and_upstream import Mirrored, mirror_of
from tests.support.servers import BIN, wait_until
from tests.support.upstream import Upstream


@contextmanager
def fronted(upstream: Upstream, port: int, settings: str = "") -> Iterator[Mirrored]:
    """A mirror of `upstream`, and nginx on `port`; `settings` are lines of mirror.toml."""
    logins = f"/dev/shm/packhorse-logins-{port}"
    front = f'front.listen = "127.0.0.1:{port}"\nfront.login_cache = "{logins}"'
    listen = f"request_timeout = 2\n{front}\n{settings}"
    with mirror_of(upstream, listen) as mirrored, nginx(mirrored):
        wait_until("nginx", lambda: _listens(port))
        yield mirrored


def through(port: int, mirrored: Mirrored) -> Mirrored:
    """The same mirror, reached through nginx."""
    return replace(mirrored, mirror=replace(mirrored.mirror, url=f"http://127.0.0.1:{port}"))


@contextmanager
def nginx(mirrored: Mirrored) -> Iterator[None]:
    """A real nginx that includes the file which `mirror front` wrote."""
    home = mirrored.mirror.home
    home.chmod(0o711)  # as `mirror front` advises: tempfile made it for us alone
    mirrored.mirror.run(BIN / "mirror", "front", cwd=home)
    main = home / "main.conf"
    main.write_text(
        f"daemon off; pid {home}/nginx.pid; error_log {home}/error.log;\nevents {{ }}\n"
        f"http {{ access_log off; include {home}/mirror/nginx.conf; }}\n"
    )
    program = debian_packages.which("nginx")
    assert program
    running = subprocess.Popen([program, "-c", str(main)], stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        running.terminate()
        running.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True
