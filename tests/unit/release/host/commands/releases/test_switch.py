"""The promises of release.host.commands.releases.switch, with nobody who answers."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.host.commands.releases import switch
from release.host.disk import releases
from release.host.disk.layout import Layout
from release.host.processes import circus_ini, readiness, watchers
from tests.support.release_folders import FakeSupervisor, a_layout, a_manifest, add_release


class Watched(FakeSupervisor):
    """Remembers what ran after each command."""

    def __init__(self, layout: Layout) -> None:
        super().__init__(layout, alive=True)
        self.ran: list[set[str]] = []

    def _look(self, call: str) -> None:
        super()._look(call)
        self.ran.append(self.active)


def both_up(folder: Path, *processes: str) -> tuple[Layout, Watched]:
    """Release 1 serves, and of release 2 runs what may run beside it."""
    layout = a_layout(folder)
    layout.circus_ini.write_text(circus_ini.circus_text(layout, None))
    for number in (1, 2):
        add_release(layout, number)
        commands = dict.fromkeys(("web", *processes), "serve")
        releases.write_manifest(layout, replace(a_manifest(number, commands), graceful_timeout=0.01), {})
    circus = Watched(layout)
    watchers.apply(layout, circus, watchers.of(layout, 1))
    switch.activate(layout, 1)
    watchers.apply(layout, circus, watchers.of(layout, 1) | watchers.overlapping(layout, 2))
    circus.ran.clear()
    return layout, circus


def test_users_get_the_new_release_before_the_old_one_stops(tmp_path: Path) -> None:
    """In between both run, so that nobody is turned away."""
    layout, circus = both_up(tmp_path)
    switch.activate(layout, 2)
    assert (releases.current(layout), layout.web.readlink().name) == (2, "web.b.sock")
    assert circus.ran == []
    switch.drain(layout, circus, 1, 2)
    assert circus.ran == [{"web.2"}]


def test_a_process_that_must_be_alone_starts_when_the_old_one_has_stopped(tmp_path: Path) -> None:
    """While the old web processes still finish what they were sent."""
    layout, circus = both_up(tmp_path, "worker")
    switch.activate(layout, 2)
    switch.start_remaining(layout, circus, 1, 2, lambda _: None)
    switch.drain(layout, circus, 1, 2)
    assert circus.ran == [{"web.1", "web.2", "worker.2"}, {"web.2", "worker.2"}]


def test_the_way_back_is_as_gentle(tmp_path: Path) -> None:
    """The old release comes up beside the one that goes, and gets the users even if it is slow to answer."""
    layout, circus = both_up(tmp_path)
    switch.activate(layout, 2)
    switch.drain(layout, circus, 1, 2)
    switch.roll_back(layout, circus, 1)
    assert circus.ran == [{"web.2"}, {"web.1", "web.2"}, {"web.1"}]
    assert (releases.current(layout), layout.web.readlink().name) == (1, "web.a.sock")


def test_the_way_back_is_short_while_the_old_release_still_runs(tmp_path: Path) -> None:
    """It runs until the new one is for good: nothing has to start when something is wrong."""
    layout, circus = both_up(tmp_path)
    switch.activate(layout, 2)
    switch.start_remaining(layout, circus, 1, 2, lambda _: None)
    switch.roll_back(layout, circus, 1)
    assert circus.ran == [{"web.1"}]
    assert (releases.current(layout), layout.web.readlink().name) == (1, "web.a.sock")


def test_without_a_release_to_go_back_to_nobody_serves(tmp_path: Path) -> None:
    """The first deploy of all: a link to what is gone would look like a service that hangs."""
    layout, circus = both_up(tmp_path)
    switch.activate(layout, 2)
    switch.roll_back(layout, circus, None)
    assert (releases.current(layout), layout.web.is_symlink(), circus.active) == (None, False, set())


def test_web_processes_are_replaced_without_a_moment_without_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old ones get no more requests when they are told to end."""
    layout, circus = both_up(tmp_path, "worker")
    watchers.apply(layout, circus, watchers.of(layout, 1))
    circus.ran.clear()
    monkeypatch.setattr(readiness, "await_answer", lambda *_: "GET / was answered 200")
    switch.replace_web(layout, circus, 1, 2, time.sleep)
    assert circus.ran == [{"web.1", "web+.1", "worker.1"}, {"web+.1", "worker.1"}]
    assert (layout.web.readlink().name, len(circus.pids("web+.1"))) == ("web.b.sock", 2)
    switch.replace_web(layout, circus, 1, 1, time.sleep)
    assert (layout.web.readlink().name, circus.active) == ("web.a.sock", {"web.1", "worker.1"})


def test_web_processes_stay_when_new_ones_are_not_healthy(tmp_path: Path) -> None:
    """The database is down: nobody is better off without the old ones."""
    layout, circus = both_up(tmp_path)
    watchers.apply(layout, circus, watchers.of(layout, 1))
    with pytest.raises(PackhorseError, match="not healthy"):
        switch.replace_web(layout, circus, 1, 2, time.sleep)
    assert (layout.web.readlink().name, circus.active) == ("web.a.sock", {"web.1"})
