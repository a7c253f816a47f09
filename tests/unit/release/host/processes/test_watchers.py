"""The promises of release.host.processes.watchers."""

from pathlib import Path

from release.host.disk import releases, scale
from release.host.disk.layout import Layout
from release.host.disk.manifest import ReplacementRule
from release.host.disk.scale import Scale
from release.host.processes import sockets, watchers
from release.host.processes.watchers import Watcher
from tests.support.release_folders import FakeSupervisor, a_layout, a_manifest

PROCESSES = {"web": "serve", "worker": "work", "mailer": "mail", "release": "migrate"}


def add(layout: Layout, number: int) -> None:
    manifest = a_manifest(number, PROCESSES)
    manifest.rules["mailer"] = ReplacementRule(overlap=True, stop_timeout=120.0)
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


def test_the_number_of_processes_changes_without_a_restart(tmp_path: Path) -> None:
    """In the file, which a new circusd reads, and by a command: circus misses the way back from 3 to 1."""
    layout = a_layout(tmp_path)
    add(layout, 1)
    circus = FakeSupervisor(layout)
    watchers.apply(layout, circus, watchers.of(layout, 1))
    before = layout.watcher_ini("web.1").read_text()
    for count in (3, 1):
        scale.write(layout, Scale({"web": count, "worker": 1, "mailer": 1}, settled=True))
        watchers.apply(layout, circus, watchers.of(layout, 1))
        assert len(circus.pids("web.1")) == count
        expected = before.replace("numprocesses = 1\n", f"numprocesses = {count}\n")
        assert layout.watcher_ini("web.1").read_text() == expected
    assert circus.calls == ["start", "scale web.1=3", "scale web.1=1"]


def test_a_type_without_processes_has_no_watcher(tmp_path: Path) -> None:
    """circus would have nothing to do for it."""
    layout = a_layout(tmp_path)
    add(layout, 1)
    scale.write(layout, Scale({"web": 0, "mailer": 2}, ("mailer",), settled=True))
    assert watchers.of(layout, 1) == frozenset()


def test_the_second_watcher_is_the_one_from_when_it_serves(tmp_path: Path) -> None:
    """Whoever was killed while two were there: the one that is linked goes on, the other one goes."""
    layout = a_layout(tmp_path)
    add(layout, 1)
    first, second = Watcher("web", 1), Watcher("web", 1, second=True)
    watchers.write(layout, {first})
    watchers.write(layout, {first, second})
    text = layout.watcher_ini("web+.1").read_text()
    assert text.startswith("[watcher:web+.1]\n")
    assert "circus.sockets.b" in text
    assert f"stdout_stream.filename = {layout.log('web.1')}\n" in text
    assert watchers.web(layout, 1) == {first}
    layout.live.symlink_to("web.b.sock")
    assert watchers.web(layout, 1) == {second}
    assert sockets.private(layout, 1) == layout.slot("b")
    watchers.write(layout, watchers.of(layout, 1))
    layout.live.unlink()
    assert watchers.web(layout, 1) == {second}
    assert sockets.free_slot(layout) == "a"
