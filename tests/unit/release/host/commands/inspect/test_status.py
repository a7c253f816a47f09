"""The promises of release.host.commands.inspect.status."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from packhorse.errors import PackhorseError
from release.host.commands.inspect import ps, status
from release.host.disk import lock, releases
from release.host.disk.layout import Layout
from release.host.processes import circus_ini, watchers
from release.host.request import Status
from tests.support.release_folders import FakeSupervisor, a_layout, a_request, a_session, add_release


def run(layout: Layout, circus: FakeSupervisor) -> dict[str, Any]:
    return status.run(layout, a_request(Status, layout), circus, a_session())


def test_an_application_that_was_never_deployed_has_a_status(tmp_path: Path) -> None:
    """The first command that people try."""
    layout = a_layout(tmp_path)
    assert run(layout, FakeSupervisor(layout))["state"] == "none"
    nowhere = Layout("other", layout.root, layout.run)
    assert run(nowhere, FakeSupervisor(nowhere))["state"] == "none"
    assert not nowhere.folder.exists()


def test_a_status_during_a_deploy_says_so_and_repairs_nothing(tmp_path: Path) -> None:
    """What looks half done is being done."""
    layout = a_layout(tmp_path)
    add_release(layout, 1)
    releases.switch(layout, 1)
    layout.circus_ini.write_text(circus_ini.circus_text(layout, None))
    circus = FakeSupervisor(layout)
    with lock.held(layout, "deploy of 2.0", "ann@example"):
        result = run(layout, circus)
    assert result["note"].startswith("shop is busy: deploy of 2.0 by ann@example")
    assert circus.calls == []


class StillRunning(FakeSupervisor):
    """circusd below systemd, which keeps it up."""

    def stop(self) -> None:
        self.active = set()


class Ending(FakeSupervisor):
    """circusd, which another command ends while it is asked."""

    def pids(self, watcher: str) -> list[int]:
        self.alive = False
        raise PackhorseError(f"circusd was killed: it did not answer {watcher}.", "")


class Hanging(FakeSupervisor):
    """circusd, which does not answer."""

    def pids(self, watcher: str) -> list[int]:
        raise PackhorseError(f"circusd hangs: it did not answer {watcher}.", "")


@pytest.mark.parametrize("command", [status.run, ps.run])
def test_a_look_beside_a_stop_says_that_nothing_runs(command: Callable[..., Any], tmp_path: Path) -> None:
    """Only changes wait for each other."""
    layout = a_layout(tmp_path)
    add_release(layout, 1)
    releases.switch(layout, 1)
    layout.circus_ini.write_text(circus_ini.circus_text(layout, None))
    asked = a_request(Status, layout)
    for kind, stopped in ((Ending, True), (Hanging, False)):
        circus = kind(layout, alive=True)
        circus.active = {watcher.name for watcher in watchers.of(layout, 1)}
        with lock.held(layout, "stop", "ann@example"):
            if stopped:
                shown = command(layout, asked, circus, a_session())
                assert [each.get("pids", each.get("each")) for each in shown["processes"]] in ([], [[]])
            else:
                with pytest.raises(PackhorseError, match="circusd hangs"):
                    command(layout, asked, circus, a_session())


def test_a_release_whose_probe_fails_is_broken(tmp_path: Path) -> None:
    """A process that is there is not yet a service."""
    layout = a_layout(tmp_path)
    add_release(layout, 1)
    releases.switch(layout, 1)
    layout.circus_ini.write_text(circus_ini.circus_text(layout, ("127.0.0.1", 8000)))
    result = run(layout, FakeSupervisor(layout))
    assert (result["state"], result["url"]) == ("broken", "http://127.0.0.1:8000")
    assert result["processes"][0]["health"] == "none: No such file or directory"


def test_an_application_that_was_stopped_is_not_probed(tmp_path: Path) -> None:
    """On a server, circusd runs on; an error of the probe would look like a fault."""
    layout = a_layout(tmp_path)
    add_release(layout, 1)
    releases.switch(layout, 1)
    layout.stopped.touch()
    layout.circus_ini.write_text(circus_ini.circus_text(layout, None))
    result = run(layout, StillRunning(layout, alive=True))
    assert (result["state"], result["processes"][0]["health"]) == ("stopped", "stopped")
