"""Where users come in: its address, and the question whether a release answers there."""

import pkgutil
import time

from packhorse import files
from packhorse.errors import PackhorseError
from release.host.disk import releases
from release.host.disk.layout import Layout
from release.host.processes import circus_ini, health, sockets

# How long the public socket may take to show what the private one has shown already.
VERIFY_TIMEOUT = 5.0


def configure(layout: Layout, bind: circus_ini.Bind, circus: circus_ini.Supervisor) -> None:
    """Write circus.ini. Raises PackhorseError when it has to change under a running circusd."""
    text = circus_ini.circus_text(layout, bind)
    present = layout.circus_ini.read_text() if layout.circus_ini.exists() else None
    if text == present:
        return
    if present is not None and circus.running():
        raise PackhorseError(
            f"{layout.app} cannot move from {address_text(layout, circus_ini.bind_of(present))} "
            f"to {address_text(layout, bind)} while it runs.",
            "Run: release stop local, then deploy again.",
        )
    if bind:
        files.write_whole(layout.front, pkgutil.get_data("release.host.runtime", "forward.py") or b"")
    files.write_whole(layout.circus_ini, text.encode())


def verify(layout: Layout, number: int) -> None:
    """Ask through the public socket. Raises PackhorseError when no good answer comes."""
    manifest = releases.read_manifest(layout, number)
    deadline = time.monotonic() + VERIFY_TIMEOUT
    where = address(layout, number)
    while not (answer := health.probe(where, manifest.health)).healthy:
        if time.monotonic() > deadline:
            raise PackhorseError(
                f"{manifest.project} {manifest.version} answers on its own socket, in public: {answer.text}",
                f"Look at {layout.log(circus_ini.FRONT)}",
            )
        time.sleep(manifest.health.interval)


def address(layout: Layout, number: int) -> health.Address:
    """Where users of release `number` come in; a wildcard is asked over loopback."""
    bind = circus_ini.bind_of(layout.circus_ini.read_text())
    if bind is None:
        return sockets.private(layout, number)
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind[0], bind[0]), bind[1]  # noqa: S104  # compared, not bound


def address_text(layout: Layout, bind: circus_ini.Bind) -> str:
    """`bind` as people read it: a URL, or the path of the unix socket."""
    if bind is None:
        return str(layout.web)
    host = f"[{bind[0]}]" if ":" in bind[0] else bind[0]
    return f"http://{host}:{bind[1]}"


def describe(layout: Layout, number: int | None) -> dict[str, object]:
    """What a result says about release `number`; None: nothing serves."""
    if number is None:
        return {"app": layout.app, "release": None, "project": None, "version": None, "url": None}
    manifest = releases.read_manifest(layout, number)
    return {
        "app": layout.app,
        "release": number,
        "project": manifest.project,
        "version": manifest.version,
        "url": address_text(layout, circus_ini.bind_of(layout.circus_ini.read_text())),
    }
