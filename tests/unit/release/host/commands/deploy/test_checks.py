"""The promises of release.host.commands.deploy.checks, with processes that a fake supervisor has."""

import os
import socket
from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.host.commands.deploy import checks
from release.host.control.session import StoppedError
from release.host.disk import releases
from release.host.disk.layout import Layout
from release.host.processes import oneoffs, readiness
from release.host.processes.watchers import Watcher
from release.host.request import Check
from tests.support.release_folders import (
    FakeController,
    FakeSupervisor,
    a_layout,
    a_manifest,
    a_session,
    add_release,
)


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    monkeypatch.setattr(readiness, "STAY_UP", 0)
    made = a_layout(tmp_path)
    add_release(made, 1)
    releases.write_manifest(made, a_manifest(1, {"web": "serve", "worker": "work"}), {})
    return made


def await_ready(layout: Layout, check: Check, controller: FakeController | None = None) -> None:
    circus = FakeSupervisor(layout, alive=True)
    circus.active = {"worker.1"}
    checks.await_ready(layout, circus, {Watcher("worker", 1)}, {"worker": check}, a_session(controller))


def refusing(*_: object, **__: object) -> object:
    raise PackhorseError("There is no such command", "Write it right.")


def test_a_type_without_a_command_only_stays_up(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """As before there were checks."""
    monkeypatch.setattr(oneoffs, "start", refusing)
    await_ready(layout, Check(0.1, [], 1.0))


def test_a_command_that_cannot_start_is_not_ready(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the type, and why."""
    monkeypatch.setattr(oneoffs, "start", refusing)
    with pytest.raises(
        PackhorseError, match=r"worker of shop 1\.0 .* is not healthy: its check_command"
    ) as error:
        await_ready(layout, Check(0.1, ["ask"], 0.1))
    assert "There is no such command" in error.value.detail


def test_a_check_can_be_stopped(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """By Ctrl-C, and by another host that has failed."""
    monkeypatch.setattr(oneoffs, "start", refusing)
    controller = FakeController()
    controller.stop.set()
    with pytest.raises(StoppedError):
        await_ready(layout, Check(0.1, ["ask"], 60.0), controller)


def test_a_check_that_takes_long_is_stopped_and_told_to_end(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop does not wait for the end of its time."""
    controller = FakeController()
    ours, theirs = socket.socketpair()
    files = [os.open(os.devnull, os.O_RDWR) for _ in range(3)]

    def start(*_: object, **__: object) -> tuple[int, oneoffs.OneOff]:
        controller.stop.set()
        return 1, oneoffs.OneOff(ours, 4711, files)

    monkeypatch.setattr(oneoffs, "start", start)
    with theirs, ours:
        with pytest.raises(StoppedError):
            await_ready(layout, Check(0.1, ["ask"], 1.0), controller)
        assert theirs.recv(1) == b""
