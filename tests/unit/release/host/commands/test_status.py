"""The promises of release.host.commands.status."""

from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.host.commands import status
from release.host.control.session import StoppedError
from release.host.disk import lock, releases
from release.host.processes import circus_ini
from tests.support.release_folders import FakeSupervisor, a_layout, add_release


def test_an_application_that_was_never_deployed_has_a_status(tmp_path: Path) -> None:
    """The first command that people try."""
    layout = a_layout(tmp_path)
    assert status.status(layout, FakeSupervisor(layout), "ann@example")["state"] == "none"


def test_a_status_during_a_deploy_says_so_and_repairs_nothing(tmp_path: Path) -> None:
    """What looks half done is being done."""
    layout = a_layout(tmp_path)
    add_release(layout, 1)
    releases.switch(layout, 1)
    layout.circus_ini.write_text(circus_ini.circus_text(layout, None))
    circus = FakeSupervisor(layout)
    with lock.held(layout, "deploy of 2.0", "ann@example"):
        told = status.status(layout, circus, "bob@example")
    assert told["note"].startswith("shop is busy: deploy of 2.0 by ann@example")
    assert circus.calls == []


def test_a_release_whose_probe_fails_is_broken(tmp_path: Path) -> None:
    """A process that is there is not yet a service."""
    layout = a_layout(tmp_path)
    add_release(layout, 1)
    releases.switch(layout, 1)
    layout.circus_ini.write_text(circus_ini.circus_text(layout, ("127.0.0.1", 8000)))
    told = status.status(layout, FakeSupervisor(layout), "ann@example")
    assert (told["state"], told["url"]) == ("broken", "http://127.0.0.1:8000")
    assert told["processes"][0]["health"].startswith("FileNotFoundError")


def test_the_last_lines_reach_back_over_a_rotation(tmp_path: Path) -> None:
    """Just rotated, the log itself is nearly empty."""
    layout = a_layout(tmp_path)
    add_release(layout, 1)
    releases.switch(layout, 1)
    layout.log("web.1").with_name("web.1.log.1").write_text("one\ntwo\n")
    layout.log("web.1").write_text("three\n")
    assert list(status.logs(layout, None, 2)) == [("web", "two"), ("web", "three")]
    assert list(status.logs(layout, None, 0)) == []


def test_logs_of_a_release_that_is_not_there_name_those_that_are(tmp_path: Path) -> None:
    """A typing mistake, or it was pruned."""
    layout = a_layout(tmp_path)
    with pytest.raises(PackhorseError, match="never been deployed"):
        list(status.logs(layout, None, 10))
    add_release(layout, 4)
    with pytest.raises(PackhorseError, match="no release 3 here") as error:
        list(status.logs(layout, 3, 10))
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
        status.follow(layout, None, lambda _, text: seen.append(text), lambda _: next(turns)())
    assert seen == ["half", "after", "hello"]
