"""The promises of release.host.processes.readiness, with nobody who answers."""

import time
from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.host.disk import releases
from release.host.disk.layout import Layout
from release.host.processes import readiness
from release.host.processes.watchers import Watcher
from tests.support.layouts import FakeSupervisor, a_layout, a_manifest, add_release


def started(folder: Path, **processes: str) -> Layout:
    """Release 1, whose processes have just been started."""
    layout = a_layout(folder)
    add_release(layout, 1)
    releases.write_manifest(layout, a_manifest(1, {"web": "serve", **processes}), {})
    return layout


def await_answer(layout: Layout) -> PackhorseError:
    with pytest.raises(PackhorseError) as error:
        readiness.await_answer(layout, FakeSupervisor(layout), 1, time.sleep)
    return error.value


def test_a_release_that_does_not_answer_is_shown_with_the_end_of_its_log(tmp_path: Path) -> None:
    """The reason stands there, and nobody wants to log in for it."""
    layout = started(tmp_path)
    layout.log("web.1").write_text("starting\nKeyError: 'DATABASE_URL'\n")
    error = await_answer(layout)
    assert error.message.startswith("shop 1.0 (release 1) is not healthy: not healthy within 0.2 s")
    assert error.detail == "Last lines of its log:\nstarting\nKeyError: 'DATABASE_URL'"
    assert str(layout.log("web.1")) in error.hint


def test_a_server_behind_a_shell_is_given_the_likely_reason(tmp_path: Path) -> None:
    """A shell in between keeps the socket to itself; nothing in the log says so."""
    error = await_answer(started(tmp_path, web="prepare && serve"))
    assert "Write `exec` before the server" in error.hint
    assert error.detail == "Last lines of its log:\n(it wrote nothing)"
    assert "exec" not in await_answer(started(tmp_path / "other", web="prepare && exec serve")).hint


def test_a_process_that_nobody_can_ask_has_to_stay_up(tmp_path: Path) -> None:
    """Its type is named: a release has several."""
    layout = started(tmp_path, worker="work")
    with pytest.raises(PackhorseError, match=r"worker of shop 1\.0 .* its process ended at once"):
        readiness.await_up(layout, FakeSupervisor(layout), [Watcher("worker", 1)], time.sleep)
    assert not readiness.is_healthy(layout, 1)
