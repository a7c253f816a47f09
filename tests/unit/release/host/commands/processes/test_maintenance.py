"""The promises of maintenance mode on one host, as far as files go."""

from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.host.commands.processes import maintenance as command
from release.host.commands.releases import reconcile, switch
from release.host.disk import journal, releases
from release.host.disk.layout import Layout
from release.host.processes import circus_ini, maintenance, sockets, watchers
from release.host.request import Maintenance
from tests.support.release_folders import FakeSupervisor, a_layout, a_request, a_session, add_release


def in_maintenance(folder: Path, deploy: int | None = None) -> Layout:
    """Release 1 serves behind the page; release 2 is there."""
    layout = a_layout(folder)
    for number in (1, 2):
        add_release(layout, number)
    releases.switch(layout, 1)
    maintenance.write(layout, maintenance.State("ann@example", "now", 60, ["/admin/"], "<p>", deploy))
    watchers.write(layout, watchers.of(layout, 1))
    return layout


def test_who_turned_it_on_in_vain_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for all commands: it may have changed something before it failed."""
    layout = a_layout(tmp_path)

    def fail(*_: object) -> None:
        raise PackhorseError("circusd does not answer.", "Look at its log.")

    monkeypatch.setattr(reconcile, "run", fail)
    request = a_request(Maintenance, layout, on=True)
    with pytest.raises(PackhorseError):
        command.run(layout, request, FakeSupervisor(layout), a_session())
    assert maintenance.read(layout) is None
    assert [entry.reason for entry in journal.read(layout.journal)] == ["maintenance on"]


def test_a_boot_shows_the_page_again(tmp_path: Path) -> None:
    """The folder of the sockets is empty then; circusd starts what lies in conf.d."""
    layout = in_maintenance(tmp_path)
    for path in layout.watchers.iterdir():
        path.unlink()
    reconcile.boot(layout)
    assert {path.name for path in layout.watchers.iterdir()} == {"web.1.ini", "maintenance.ini"}
    assert layout.web.readlink().name == "web.m.sock"
    assert layout.live.readlink() == layout.sockets / "web.a.sock"


def test_a_deploy_whose_host_lost_power_does_not_leave_it_on(tmp_path: Path) -> None:
    """Nobody is there any more who would turn it off."""
    layout = in_maintenance(tmp_path, deploy=2)
    reconcile.boot(layout)
    assert (maintenance.read(layout), layout.web.readlink().name) == (None, "web.a.sock")
    assert journal.read(layout.journal)[-1].reason == "maintenance off: its deploy was interrupted"


def test_a_switch_changes_what_open_paths_lead_to(tmp_path: Path) -> None:
    """All others go on to lead to the page."""
    layout = in_maintenance(tmp_path)
    watchers.write(layout, watchers.of(layout, 1) | watchers.of(layout, 2))
    switch.activate(layout, 2)
    assert layout.web.readlink().name == "web.m.sock"
    assert layout.live.readlink().name == "web.b.sock"


def test_where_another_user_makes_the_sockets_the_links_lead_there(tmp_path: Path) -> None:
    """Provisioning of an earlier version has made links for four sockets only."""
    layout = in_maintenance(tmp_path)
    layout.control.symlink_to("/run/packhorse/shop/ctl.sock")
    sockets.link(layout, 1)
    assert str(layout.web.readlink()) == "/run/packhorse/shop/web.m.sock"
    assert str(layout.live.readlink()) == "/run/packhorse/shop/web.a.sock"
    assert "/run/packhorse/shop/web.m.sock" in circus_ini.maintenance_text(layout)


def test_a_release_that_an_earlier_version_put_on_a_port_is_found_there(tmp_path: Path) -> None:
    """The program reads the link as forward.py does."""
    layout = in_maintenance(tmp_path)
    manifest = layout.release(1) / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"port": null', '"port": 20001'))
    sockets.link(layout, 1)
    assert layout.live.readlink().name == "port-20001"
    assert layout.web.readlink().name == "web.m.sock"


def test_a_stopped_application_shows_the_page(tmp_path: Path) -> None:
    """Nothing of it runs, and no path is open."""
    layout = in_maintenance(tmp_path)
    layout.stopped.touch()
    circus = FakeSupervisor(layout)
    reconcile.run(layout, circus)
    assert (layout.web.readlink().name, layout.live.is_symlink()) == ("web.m.sock", False)
    assert layout.watcher_ini("maintenance").exists()


def test_a_newer_version_may_have_written_more(tmp_path: Path) -> None:
    """Two people deploy with different versions for a while."""
    layout = in_maintenance(tmp_path)
    layout.maintenance.write_text(layout.maintenance.read_text().replace("{", '{"colour": "red", ', 1))
    assert maintenance.as_result(layout) == {
        "by": "ann@example",
        "at": "now",
        "retry_after": 60,
        "allow": ["/admin/"],
        "page": True,
        "deploy": None,
    }
