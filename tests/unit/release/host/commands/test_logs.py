"""The promises of release.host.commands.logs."""

from pathlib import Path
from typing import Any

import pytest

from packhorse.errors import PackhorseError
from release.host.commands import logs
from release.host.control.session import StoppedError
from release.host.disk import journal, releases
from release.host.request import Logs
from tests.support.release_folders import (
    FakeController,
    FakeSupervisor,
    a_layout,
    a_request,
    a_session,
    add_release,
)


def test_every_line_is_an_event_and_following_ends_with_the_command(tmp_path: Path) -> None:
    """Ctrl-C while following is no failure."""
    layout = a_layout(tmp_path)
    add_release(layout, 1)
    releases.switch(layout, 1)
    layout.log("web.1").write_text("one\n")
    events: list[dict[str, Any]] = []
    controller = FakeController()
    controller.stop.set()
    request = a_request(Logs, layout, lines=5, follow=True, release=None)
    result = logs.run(layout, request, FakeSupervisor(layout), a_session(controller, emit=events.append))
    assert (result, events) == ({}, [{"event": "line", "process": "web", "text": "one"}])


def test_the_last_lines_reach_back_over_a_rotation(tmp_path: Path) -> None:
    """Just rotated, the log itself is nearly empty."""
    layout = a_layout(tmp_path)
    add_release(layout, 1)
    releases.switch(layout, 1)
    layout.log("web.1").with_name("web.1.log.1").write_text("one\ntwo\n")
    layout.log("web.1").write_text("three\n")
    assert list(logs.last_lines(layout, None, 2)) == [("web", "two"), ("web", "three")]
    assert list(logs.last_lines(layout, None, 0)) == []


def test_logs_of_a_release_that_is_not_there_name_those_that_are(tmp_path: Path) -> None:
    """A typing mistake, or it was pruned."""
    layout = a_layout(tmp_path)
    with pytest.raises(PackhorseError, match="never been deployed"):
        list(logs.last_lines(layout, None, 10))
    add_release(layout, 4)
    with pytest.raises(PackhorseError, match="no release 3 here") as error:
        list(logs.last_lines(layout, 3, 10))
    assert error.value.hint == "The releases here are: 4"


def test_following_gives_whole_lines_over_rotation_and_switch(tmp_path: Path) -> None:
    """Half a line is not printed before its end comes; a new release is followed from its first line."""
    layout = a_layout(tmp_path)
    for number in (1, 2):
        add_release(layout, number)
    releases.switch(layout, 1)
    log = layout.log("web.1")
    log.write_text("old\n")

    def append(text: str) -> None:
        log.write_text(log.read_text() + text)

    def rotate() -> None:
        log.rename(log.with_name("web.1.log.1"))
        log.write_text("after\n")

    def switch() -> None:
        layout.log("web.2").write_text("hello\n")
        releases.switch(layout, 2)

    def stop() -> None:
        raise StoppedError("Stopped.", "Again.")

    turns = iter([lambda: append("ha"), lambda: append("lf\n"), rotate, switch, stop])
    seen: list[str] = []
    with pytest.raises(StoppedError):
        logs.follow(layout, None, lambda _, text: seen.append(text), lambda _: next(turns)())
    assert seen == ["half", "after", "hello"]


def test_the_logs_of_a_first_release_that_failed_are_one_command_away(tmp_path: Path) -> None:
    """Nothing is current then, and its logs say why."""
    layout = a_layout(tmp_path)
    add_release(layout, 1, journal.FAILED)
    request = a_request(Logs, layout, lines=5, follow=False, release=None)
    with pytest.raises(PackhorseError, match="has ever served here") as refused:
        logs.run(layout, request, FakeSupervisor(layout), a_session())
    assert refused.value.hint.endswith(": release logs production --release 1")
