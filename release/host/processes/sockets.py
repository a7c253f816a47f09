"""Assign sockets to releases, and route public traffic to the socket or port of one of them."""

import contextlib
import shutil
import time
from pathlib import Path

from packhorse import files, process
from release.host.disk import releases, scale
from release.host.disk.layout import Layout
from release.host.processes import circus_ini, health, maintenance

# Installed by `release provision`, run as root: makes nginx connect to a port, or to the public socket.
HELPER = "/usr/local/sbin/packhorse-port"
HELPER_TIMEOUT = 600.0
STILL_DRAINING = 75
# Time for a server between accepting a connection and knowing of its request.
SETTLE = 0.05


def private(layout: Layout, number: int) -> health.Address:
    """The address on which release `number` itself listens."""
    port = releases.read_manifest(layout, number).port
    return ("127.0.0.1", port) if port else of_watcher(layout, number, second=is_second(layout, number))


def of_watcher(layout: Layout, number: int, *, second: bool) -> Path:
    """The socket on which one of the two watchers for web of release `number` listens."""
    return layout.slot(_slot(layout, number, second=second) or "none")


def is_second(layout: Layout, number: int) -> bool:
    """Whether the second watcher for web of release `number` is there and, beside the first, serves."""
    first, second = (_slot(layout, number, second=second) for second in (False, True))
    if first and second:
        return layout.live.is_symlink() and layout.live.readlink().name == layout.slot(second).name
    return second is not None


def _slot(layout: Layout, number: int, *, second: bool) -> str | None:
    name = circus_ini.watcher_name("web", number, second=second)
    with contextlib.suppress(FileNotFoundError):
        return circus_ini.slot_of(layout.watcher_ini(name).read_text())
    return None


def free_slot(layout: Layout) -> str:
    """The socket that no watcher in conf.d uses."""
    inis = [path for name in ("web.*.ini", "web+.*.ini") for path in layout.watchers.glob(name)]
    taken = {circus_ini.slot_of(path.read_text()) for path in inis}
    return next(slot for slot in circus_ini.SLOTS if slot not in taken)


def route(layout: Layout, number: int | None) -> None:
    """Route public traffic to release `number`, or to the program that answers in maintenance mode.

    Nowhere for None and for a release that serves nothing. nginx connects to the public socket, or to a port
    for a release that listens on one. Raises PackhorseError when nginx cannot be reconfigured.
    """
    where = public(layout, _serving(layout, number))
    if isinstance(where, tuple):
        route_nginx(layout, where)
    link(layout, number)
    if isinstance(where, Path):
        route_nginx(layout, where)


def public(layout: Layout, where: health.Address | None) -> health.Address | None:
    """Address that gets public traffic while the application serves at `where`."""
    return maintenance.address(layout) if layout.maintenance.exists() else where


def _serving(layout: Layout, number: int | None) -> health.Address | None:
    return None if number is None or not scale.serves(layout, number) else private(layout, number)


def link(layout: Layout, number: int | None) -> None:
    """Link the public socket to where `route` says, in one step."""
    link_to(layout, _serving(layout, number))


def link_to(layout: Layout, where: health.Address | None) -> None:
    """Link the public socket to `where`; in maintenance mode, what that program follows instead."""
    _point(layout.live, where, layout.own_sockets)
    _point(layout.web, public(layout, where))


def _point(path: Path, where: health.Address | None, folder: Path | None = None) -> None:
    """Let `path` be a link to `where`, in its own folder or in `folder`; remove it for None."""
    if where is None:
        path.unlink(missing_ok=True)
        return
    if isinstance(where, tuple):  # what the forward.py beside it understands, which is as old as the release
        target = f"port-{where[1]}"
    elif folder:
        target = str(folder / where.name)
    else:
        target = where.name if where.parent == path.parent else str(where)
    if not path.is_symlink() or str(path.readlink()) != target:
        scratch = path.with_name(f".{path.name}")
        scratch.unlink(missing_ok=True)
        scratch.symlink_to(target)
        scratch.replace(path)
        files.sync_folder(path.parent)


def route_nginx(layout: Layout, where: health.Address) -> None:
    """Make nginx connect to `where`, and wait until its old workers have ended.

    nginx needs that for a port only: it follows the link of the public socket for every connection.
    """
    argument, place = (
        ("socket", "the public socket") if isinstance(where, Path) else (str(where[1]), f"port {where[1]}")
    )
    server = f"unix:{layout.web} " if isinstance(where, Path) else f"127.0.0.1:{where[1]} "
    if not layout.upstream.exists() or server in layout.upstream.read_text().replace(";", " "):
        return
    command = [shutil.which("sudo") or "/usr/bin/sudo", "-n", HELPER, layout.app, argument]
    done = process.run(command, timeout=HELPER_TIMEOUT)
    if done.status not in {0, STILL_DRAINING}:
        raise process.failure(
            done,
            f"nginx could not be led to {place}: {HELPER} ended with status {done.status}.",
            "The output above names the cause; release provision puts the helper and its rights in order.",
        )


def drain_backlog(layout: Layout, number: int, where: health.Address) -> None:
    """Wait until release `number`, which gets no new connections, has accepted all that wait at `where`.

    Connections are accepted in their order: an answer to a probe shows that those before it were. The wait
    ends at the stop timeout; then the processes are stopped all the same.
    """
    manifest = releases.read_manifest(layout, number)
    deadline = time.monotonic() + manifest.stop_timeout("web")
    while not health.probe(where, manifest.health).status:
        if time.monotonic() > deadline:
            return
        time.sleep(SETTLE)
    time.sleep(SETTLE)
