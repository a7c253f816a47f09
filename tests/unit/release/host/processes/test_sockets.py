"""The promises of release.host.processes.sockets that need no server."""

from dataclasses import replace
from pathlib import Path

from release.host.disk import releases
from release.host.disk.layout import Layout
from release.host.processes import circus_ini, sockets
from tests.support.release_folders import a_layout, a_manifest, add_release


def add_watcher(layout: Layout, number: int, slot: str) -> None:
    text = circus_ini.watcher_text(layout, "web", number, 10.0, slot)
    layout.watcher_ini(f"web.{number}").write_text(text)


def test_releases_take_turns(tmp_path: Path) -> None:
    """The new one is asked on a socket of its own while the old one serves on the other."""
    layout = a_layout(tmp_path)
    for number in (1, 2):
        add_release(layout, number)
    assert sockets.free_slot(layout) == "a"
    add_watcher(layout, 1, "a")
    assert sockets.free_slot(layout) == "b"
    add_watcher(layout, 2, "b")
    assert sockets.private(layout, 2) == layout.sockets / "web.b.sock"
    layout.watcher_ini("web.1").unlink()
    assert sockets.free_slot(layout) == "a"


def test_the_public_address_is_a_link_that_is_replaced(tmp_path: Path) -> None:
    """A moment without one would be a moment of refused connections; nothing is left of a killed attempt."""
    layout = a_layout(tmp_path)
    for number, slot in ((1, "a"), (2, "b")):
        add_release(layout, number)
        add_watcher(layout, number, slot)
    sockets.link(layout, 1)
    assert str(layout.web.readlink()) == "web.a.sock"
    layout.web.with_name(".web.sock").symlink_to("left by a kill")
    sockets.link(layout, 2)
    assert str(layout.web.readlink()) == "web.b.sock"
    sockets.link(layout, None)
    assert not layout.web.is_symlink()


def test_workers_alone_have_no_public_address(tmp_path: Path) -> None:
    """A link to a socket on which nobody listens would be an error for whoever asks."""
    layout = a_layout(tmp_path)
    for number in (1, 2):
        add_release(layout, number)
        add_watcher(layout, number, "a")
    releases.write_manifest(layout, a_manifest(2, {"worker": "work"}), {})
    sockets.route(layout, 1)
    sockets.route(layout, 2)
    assert not layout.web.is_symlink()


def test_a_release_on_a_port_is_asked_there(tmp_path: Path) -> None:
    """Its address is in its manifest, so that it is the same after a boot."""
    layout = a_layout(tmp_path)
    add_release(layout, 1)
    releases.write_manifest(layout, replace(a_manifest(1), port=20_001), {})
    assert sockets.private(layout, 1) == ("127.0.0.1", 20_001)
    sockets.link(layout, 1)
    assert str(layout.web.readlink()) == "port-20001"


def test_nginx_is_told_only_where_there_is_one(tmp_path: Path) -> None:
    """This machine's target has none in front: no program may be started as root for it."""
    layout = a_layout(tmp_path)
    add_release(layout, 1)
    assert not layout.upstream.exists()
    sockets.route_nginx(layout, sockets.private(layout, 1))
