"""The promises of release.host.commands.logs.logs."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from packhorse.errors import PackhorseError
from release.host.commands.logs import logs
from release.host.control.session import StoppedError
from release.host.disk import releases
from release.host.disk.layout import Layout
from release.host.request import Logs
from tests.support.release_folders import (
    FakeController,
    FakeSupervisor,
    a_layout,
    a_request,
    a_session,
    add_release,
)


def at(second: int, text: str, pid: int = 7) -> str:
    return f"2026-11-26T05:00:{second:02}.000000Z {pid} {text}\n"


def asked(layout: Layout, **fields: object) -> list[dict[str, Any]]:
    """The events of a command that does not follow."""
    events: list[dict[str, Any]] = []
    request = a_request(Logs, layout, **{"lines": 100, "follow": False, **fields})
    logs.run(layout, request, FakeSupervisor(layout), a_session(FakeController(), emit=events.append))
    return events


def texts(layout: Layout, **fields: object) -> list[str]:
    return [row[-1] for event in asked(layout, **fields) for row in event.get("lines", [])]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Two releases, of which the second is current, with logs, and one that is to come."""
    made = a_layout(tmp_path)
    for number in (1, 2):
        add_release(made, number)
    releases.switch(made, 2)
    made.release(3).mkdir()
    made.log("web.1").write_text(at(1, "one") + at(5, "five"))
    made.log("web.2").write_text(at(4, "four") + at(6, "six ERROR"))
    made.log("worker.2").write_text(at(2, "two") + at(3, "three error") + at(7, "seven"))
    made.log("release.2").write_text(at(0, "zero"))
    made.log("run.2.x1").write_text(at(8, "eight"))
    made.log("forward").write_text(at(9, "nine"))
    return made


@pytest.mark.parametrize("forged", ["web.999999999.{}", "zz.2.{}", "zz{}.2"])
def test_logs_that_the_application_made_up_hide_none_of_what_runs(layout: Layout, forged: str) -> None:
    """Only so many are read, as each takes open files."""
    layout.watcher_ini("web.2").touch()
    for number in range(logs.MOST_LOGS):
        layout.log(forged.format(number)).touch()
    assert "six ERROR" in texts(layout)


@pytest.mark.parametrize("fields", [{"lines": 2}, {"lines": 2, "grep": "one"}, {"lines": None}])
def test_of_a_log_that_the_application_made_endless_the_end_is_read(
    layout: Layout, fields: dict[str, Any]
) -> None:
    """`truncate -s 8T` takes no room on the disk; an agent would read for hours."""
    with layout.log("web.2").open("r+b") as log:
        log.truncate(8 * 2**40)
        log.seek(0, os.SEEK_END)
        log.write(b"\n" + at(9, "one more").encode())
    request = {"release": 2, "processes": ["web"], **fields}
    assert texts(layout, **request)[-1] == "one more"
    assert sum(event.get("skipped", {}).get("web.2", 0) for event in asked(layout, **request)) > 2**42


def test_reading_ends_with_who_asked_for_it(layout: Layout) -> None:
    """Nobody would take what an agent finds in gigabytes."""
    controller = FakeController()
    controller.stop.set()
    request = a_request(Logs, layout, lines=100, follow=False)
    with pytest.raises(StoppedError):
        logs.run(layout, request, FakeSupervisor(layout), a_session(controller))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "zero one two three four five six seven eight"),
        ({"lines": 3}, "six seven eight"),
        ({"lines": 0}, ""),
        ({"release": 1}, "one five"),
        ({"processes": ["worker", "run"]}, "two three seven eight"),
        ({"processes": ["forward"]}, "nine"),
        ({"since": "2026-11-26T05:00:06.000000Z"}, "six seven eight"),
        ({"since": "2026-11-26T05:00:06.000000Z", "lines": 1}, "eight"),
        ({"grep": "ERROR"}, "six"),
        ({"grep": "(?i)error", "lines": 1}, "six"),
        ({"grep": "^(one|two)$"}, "one two"),
        ({"ago": 10.0}, ""),
    ],
)
def test_what_is_selected_is_in_order_of_time(layout: Layout, fields: dict[str, Any], expected: str) -> None:
    """Of all processes and releases; the last lines are those of all together."""
    assert [text.split(" ")[0] for text in texts(layout, **fields)] == expected.split()


def test_the_logs_that_there_are_are_named(layout: Layout) -> None:
    """So that a wrong name can be answered with those that exist; other files are no logs."""
    (layout.logs / "processes.jsonl").touch()
    (layout.logs / "web.1.log.1").touch()
    (layout.logs / "..log").touch()
    head = asked(layout)[0]
    assert head["names"] == ["forward", "web.1", "release.2", "run.2.x1", "web.2", "worker.2"]


def test_lines_without_a_time_keep_their_place(layout: Layout) -> None:
    """The circusd of an earlier version wrote them; a clock that was set back changes no order either."""
    layout.log("web.1").write_text("old\n" + at(3, "a") + "no time\n" + at(1, "clock set back"))
    assert texts(layout, release=1) == ["old", "a", "no time", "clock set back"]
    rows = [row for event in asked(layout, release=1) for row in event.get("lines", [])]
    assert [row[0][17:19] for row in rows] == ["", "03", "", "01"]


def test_a_log_with_huge_lines_is_not_kept_in_memory(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last ones are sent, and how much was left out."""
    monkeypatch.setattr(logs, "KEPT", 25)
    layout.log("web.1").write_text("".join(at(n, f"{n}" * 10) for n in range(1, 6)))
    assert texts(layout, release=1) == ["4" * 10, "5" * 10]
    assert {"": 30} in [event.get("skipped") for event in asked(layout, release=1)]


def test_an_application_that_was_never_deployed_has_no_logs(tmp_path: Path) -> None:
    """One whose first release failed has."""
    layout = a_layout(tmp_path)
    with pytest.raises(PackhorseError, match="never been deployed"):
        asked(layout)
    layout.log("web.1").write_text("KeyError\n")
    assert texts(layout) == ["KeyError"]


def followed(layout: Layout, *turns: Callable[[], object], **fields: object) -> list[dict[str, Any]]:
    """The events of a command that follows; each turn is taken when all events before it have come."""
    events: list[dict[str, Any]] = []
    steps = iter(turns)

    def pause(seconds: float) -> None:
        if seconds:  # nothing was new
            time.sleep(0.02)
            step = next(steps, None)
            if step is None:
                raise StoppedError("Stopped.", "Again.")
            step()

    request = a_request(Logs, layout, **{"lines": 0, "follow": True, **fields})
    session = a_session(FakeController(), emit=events.append)
    session.pause = pause  # type: ignore[method-assign]
    logs.run(layout, request, FakeSupervisor(layout), session)
    return events


def new_texts(events: list[dict[str, Any]]) -> list[str]:
    return [row[-1] for event in events if event["event"] == "lines" for row in event["lines"]]


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_new_lines_are_followed_over_rotation_deploy_and_prune(layout: Layout) -> None:
    """Half a line waits for its end; a new release is followed from its first line."""
    web = layout.log("web.2")

    def rotate() -> None:
        web.rename(web.with_name("web.2.log.1"))
        web.write_text(at(12, "after"))

    events = followed(
        layout,
        lambda: append(web, at(10, "half")[:-3]),
        lambda: append(web, at(10, "half")[-3:]),
        rotate,
        lambda: layout.log("web.3").write_text(at(13, "hello")),
        layout.log("web.1").unlink,
        lambda: append(layout.log("web.3"), at(14, "world")),
    )
    assert new_texts(events) == ["half", "after", "hello", "world"]
    assert "web.1" not in events[-1]["positions"]


def test_who_comes_back_gets_what_was_written_meanwhile(layout: Layout) -> None:
    """Nothing twice, and nothing is lost that is still there, of new logs too."""
    events = followed(layout, lambda: append(layout.log("web.2"), at(10, "seen")))
    append(layout.log("web.2"), at(11, "missed"))
    layout.log("web.3").write_text(at(12, "new"))
    again = followed(layout, resume=events[-1]["positions"])
    assert sorted(new_texts(again)) == ["missed", "new"]


def test_who_cannot_take_all_is_told_what_was_skipped(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lines stay on the disk until they are taken, up to a limit; nothing waits in memory."""
    monkeypatch.setattr(logs, "HELD", 1000)
    monkeypatch.setattr(logs, "WAITING", 1)
    events: list[dict[str, Any]] = []
    may_go = threading.Event()
    request = a_request(Logs, layout, lines=0, follow=True)
    line = at(10, "x" * 50)

    def emit(event: dict[str, Any]) -> None:
        if event["event"] == "lines":
            may_go.wait(60)
        events.append(event)

    turns = 0

    def pause(seconds: float) -> None:  # noqa: ARG001  # its name is Session's
        nonlocal turns
        turns += 1
        if turns < 200:
            append(layout.log("web.2"), line)
        elif turns == 200:
            may_go.set()
        elif turns > 220:
            raise StoppedError("Stopped.", "Again.")
        else:
            time.sleep(0.02)

    session = a_session(FakeController(), emit=emit)
    session.pause = pause  # type: ignore[method-assign]
    logs.run(layout, request, FakeSupervisor(layout), session)
    skipped = sum(event.get("skipped", {}).get("web.2", 0) for event in events)
    assert skipped > 0
    assert skipped + len(new_texts(events)) * len(line) == 199 * len(line)
