"""The promises of release.host.processes.watchers."""

from pathlib import Path

from release.host.disk import releases
from release.host.disk.layout import Layout
from release.host.disk.manifest import Rule
from release.host.processes import watchers
from release.host.processes.watchers import Watcher
from tests.support.release_folders import FakeSupervisor, a_layout, a_manifest

PROCESSES = {"web": "serve", "worker": "work", "mailer": "mail", "release": "migrate"}


def add(layout: Layout, number: int) -> None:
    manifest = a_manifest(number, PROCESSES)
    manifest.rules["mailer"] = Rule(overlap=True, stop_timeout=120.0)
    layout.release(number).mkdir()
    releases.write_manifest(layout, manifest, {})
    releases.mark_ready(layout, number)


def test_a_release_phase_is_no_process_that_goes_on(tmp_path: Path) -> None:
    """circus would run it again and again."""
    layout = a_layout(tmp_path)
    add(layout, 1)
    assert {watcher.process for watcher in watchers.of(layout, 1)} == {"web", "worker", "mailer"}
    assert watchers.of(layout, None) == frozenset()


def test_only_what_may_runs_beside_the_old_release(tmp_path: Path) -> None:
    """The web always, others when the target says so."""
    layout = a_layout(tmp_path)
    add(layout, 1)
    assert watchers.overlapping(layout, 1) == {Watcher("web", 1), Watcher("mailer", 1)}
    assert watchers.web(layout, 1) == {Watcher("web", 1)}


def test_each_type_has_its_time_to_stop_and_only_web_a_socket(tmp_path: Path) -> None:
    """A report takes minutes, a request seconds."""
    layout = a_layout(tmp_path)
    add(layout, 1)
    watchers.write(layout, watchers.of(layout, 1))
    texts = {process: layout.watcher_ini(f"{process}.1").read_text() for process in ("web", "mailer")}
    assert "graceful_timeout = 125\n" in texts["mailer"]
    assert "graceful_timeout = 15\n" in texts["web"]
    assert "circus.sockets.a" in texts["web"]
    assert "circus.sockets" not in texts["mailer"]


def test_circus_is_told_only_when_something_changes(tmp_path: Path) -> None:
    """What runs as it should is left alone."""
    layout = a_layout(tmp_path)
    add(layout, 1)
    circus = FakeSupervisor(layout)
    for _ in range(2):
        watchers.apply(layout, circus, watchers.of(layout, 1))
    assert circus.calls == ["start"]
    watchers.apply(layout, circus, watchers.web(layout, 1))
    watchers.apply(layout, circus, [])
    assert circus.calls == ["start", "reload", "stop"]


def test_what_still_stops_is_started_again_when_it_is_wanted(tmp_path: Path) -> None:
    """circus is the last to notice the end of a process: until then the watcher looks as if it were there."""
    layout = a_layout(tmp_path)
    add(layout, 1)
    circus = FakeSupervisor(layout)
    watchers.apply(layout, circus, watchers.of(layout, 1))
    circus.stopping = {"web.1"}
    watchers.apply(layout, circus, watchers.of(layout, 1))
    assert circus.calls == ["start", "reload"]
