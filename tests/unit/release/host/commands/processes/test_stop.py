"""The promises of commands.processes.stop and start, with a supervisor that only notes its commands."""

import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.host.commands.processes import start, stop
from release.host.disk import lock, releases
from release.host.disk.layout import Layout
from release.host.processes import circus_ini, public_address, watchers
from release.host.request import Start, Stop
from tests.support.release_folders import FakeSupervisor, a_layout, a_request, a_session, add_release


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = a_layout(tmp_path)
    add_release(made, 1)
    releases.switch(made, 1)
    made.circus_ini.write_text(circus_ini.circus_text(made, None))
    return made


def test_a_stop_lasts(layout: Layout) -> None:
    """After a boot nothing runs either; the public address leads nowhere."""
    circus = FakeSupervisor(layout)
    watchers.apply(layout, circus, watchers.of(layout, 1))
    layout.web.symlink_to("web.a.sock")
    assert stop.run(layout, a_request(Stop, layout), circus, a_session())["app"] == "shop"
    assert not circus.running()
    assert releases.active(layout) is None
    assert releases.current(layout) == 1
    assert not layout.web.is_symlink()


def test_a_start_runs_what_ran_and_says_when_nobody_answers(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its processes are there, and go on trying."""
    monkeypatch.setattr(public_address, "VERIFY_TIMEOUT", 0)
    circus = FakeSupervisor(layout)
    layout.stopped.touch()
    with pytest.raises(PackhorseError, match="not at the public address: none: No such file"):
        start.run(layout, a_request(Start, layout), circus, a_session())
    assert circus.active == {"web.1"}
    assert releases.active(layout) == 1


def test_only_what_was_deployed_is_stopped_or_started(tmp_path: Path) -> None:
    """A typing mistake in the name of the application."""
    layout = a_layout(tmp_path)
    circus = FakeSupervisor(layout)
    with pytest.raises(PackhorseError, match="never been deployed"):
        stop.run(layout, a_request(Stop, layout), circus, a_session())
    with pytest.raises(PackhorseError, match="never been deployed"):
        start.run(layout, a_request(Start, layout), circus, a_session())


def test_one_command_at_a_time(layout: Layout) -> None:
    """A deploy that is under way must not find its processes stopped."""
    with lock.held(layout, "deploy", "bob@example"), pytest.raises(lock.BusyError, match="bob@example"):
        stop.run(layout, a_request(Stop, layout), FakeSupervisor(layout), a_session())


def test_a_stop_can_wait_for_another_command(layout: Layout) -> None:
    """As the hint of a busy application says."""
    with ExitStack() as deploy:
        deploy.enter_context(lock.held(layout, "deploy", "bob@example"))
        threading.Timer(0.2, deploy.close).start()
        stop.run(layout, a_request(Stop, layout, lock_wait=20), FakeSupervisor(layout), a_session())
    assert layout.stopped.exists()
