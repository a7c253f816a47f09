"""The ini texts of release.host.processes.circus_ini; its calls are tested with a real circus."""

import sys
from pathlib import Path

import pytest

from release.host.disk.layout import Layout
from release.host.processes import circus_ini
from release.host.processes.circus_ini import Bind

LAYOUT = Layout("shop", Path("/srv/apps"), Path("/run/apps"))


def test_circus_listens_on_nothing_but_its_private_sockets() -> None:
    """By default it listens on TCP and UDP without authentication: any local user could run code as us."""
    text = circus_ini.circus_text(LAYOUT, None)
    assert "\nendpoint = ipc:///run/apps/shop/ctl.sock\n" in text
    assert "\npubsub_endpoint = ipc:///run/apps/shop/pub.sock\n" in text
    assert "\nmulticast_endpoint =\n" in text
    assert "\numask = 077\n" in text


@pytest.mark.parametrize("bind", [("127.0.0.1", 8000), ("::1", 8000), None])
def test_the_public_listener_is_read_back(bind: Bind) -> None:
    """The file is what says where users come in: status and PORT are read from it."""
    text = circus_ini.circus_text(LAYOUT, bind)
    assert circus_ini.bind_of(text) == bind
    assert ("family = AF_INET6" in text) == (bind == ("::1", 8000))


def test_the_sockets_of_releases_are_open_to_owner_and_group() -> None:
    """nginx is in the group. circus reads this umask as a decimal number."""
    text = circus_ini.circus_text(LAYOUT, None)
    for slot in ("a", "b"):
        assert f"[socket:{slot}]\npath = /run/apps/shop/web.{slot}.sock\numask = {0o117}\n" in text
    assert "front" not in text


def test_on_a_server_two_users_command_circusd_and_the_folder_guards_sockets() -> None:
    """The one that deploys is in the group of the one that runs; nginx is not, and may enter the folder."""
    text = circus_ini.server_text(LAYOUT, Path("/run/packhorse/shop"))
    assert "\nendpoint = ipc:///run/packhorse/shop/ctl.sock\n" in text
    assert "\numask = 007\n" in text
    assert f"path = /run/packhorse/shop/web.a.sock\numask = {0o111}\n" in text
    assert "include_dir = /srv/apps/shop/conf.d" in text


def test_a_watcher_knows_no_value_and_no_command_of_the_application() -> None:
    """circus expands `$` in what it reads, and shows it to everybody who lists processes."""
    start = f"{sys.executable} -IS /srv/apps/shop/releases/43/launch.py"
    text = circus_ini.watcher_text(LAYOUT, "web", 43, 30.0, "b")
    assert text == (
        "[watcher:web.43]\n"
        f"cmd = {start} web $(circus.sockets.b)\n"
        "use_sockets = True\n"
        "numprocesses = 1\n"
        "graceful_timeout = 35\n"
        "stdout_stream.class = FileStream\n"
        "stdout_stream.filename = /srv/apps/shop/log/web.43.log\n"
        "stdout_stream.max_bytes = 10485760\n"
        "stdout_stream.backup_count = 3\n"
    )
    assert circus_ini.slot_of(text) == "b"


def test_a_worker_gets_no_socket() -> None:
    """One that listened would be handed requests that it does not know."""
    text = circus_ini.watcher_text(LAYOUT, "worker", 43, 30.0, None)
    assert "use_sockets = False" in text
    assert circus_ini.slot_of(text) is None
