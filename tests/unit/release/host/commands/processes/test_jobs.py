"""The promises of release.host.commands.processes.jobs; tests/integration/release/test_run.py runs some."""

import dataclasses
import subprocess
import time
from pathlib import Path

import pytest

from packhorse import calendar
from packhorse.errors import PackhorseError
from release.host.commands.processes import jobs as commands
from release.host.disk import jobs, releases
from release.host.disk.layout import Layout
from release.host.disk.manifest import Content, Job
from tests.support.release_folders import a_deploy, a_layout, a_session, add_release

HOURLY = Job("cleanup", "hourly", ["hourly"], "true", overlap=False, timeout=None)


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """Release 1 with a job, on a host whose systemd says that everything is due an hour later."""
    made = a_layout(tmp_path)
    add_release(made, 1)
    manifest = dataclasses.replace(releases.read_manifest(made, 1), jobs=[HOURLY])
    releases.write_manifest(made, manifest, {})
    releases.switch(made, 1)
    monkeypatch.setattr(calendar, "next_time", lambda _, after: after + 3600)
    return made


def test_a_job_is_due_once_also_when_it_was_missed_often(layout: Layout) -> None:
    """The host was down for a day: 24 runs at once would be no help."""
    assert not commands._due(layout, HOURLY, 1000)  # just deployed
    assert not commands._due(layout, HOURLY, 4599)
    assert commands._due(layout, HOURLY, 100_000)
    assert not commands._due(layout, HOURLY, 103_599)
    assert commands._due(layout, HOURLY, 103_600)


def test_another_schedule_begins_anew(layout: Layout) -> None:
    """The old time says nothing about the new one."""
    commands._due(layout, HOURLY, 1000)
    other = dataclasses.replace(HOURLY, calendars=["daily"])
    assert not commands._due(layout, other, 100_000)
    assert commands._due(layout, other, 103_600)


def test_only_the_first_host_runs_jobs_and_not_while_it_is_stopped(layout: Layout) -> None:
    """What was told `release stop` does nothing by itself."""
    change = dataclasses.replace(a_deploy(layout), supervised=True, runs_jobs=True)
    commands.settle(layout, change, a_session())
    assert jobs.is_here(layout)
    assert commands.listed(layout, 1)[0]["next"]
    layout.stopped.touch()
    assert commands.listed(layout, 1)[0]["next"] is None
    commands.tick(layout)
    commands.settle(layout, dataclasses.replace(change, runs_jobs=False), a_session())
    assert not jobs.is_here(layout)


def test_a_deploy_takes_no_run_from_a_job_that_is_due(layout: Layout) -> None:
    """The timer comes within the minute. Where a job has come back, nothing of before is due."""
    change = dataclasses.replace(a_deploy(layout), supervised=True, runs_jobs=True)
    jobs.set_here(layout, here=True)
    jobs.write(layout, "cleanup", "due", calendars=HOURLY.calendars, at=0)
    commands.settle(layout, change, a_session())
    assert commands._due(layout, HOURLY, time.time())
    jobs.write(layout, "cleanup", "due", calendars=HOURLY.calendars, at=0)
    commands.settle(layout, dataclasses.replace(change, runs_jobs=False), a_session())
    commands.settle(layout, change, a_session())
    assert not commands._due(layout, HOURLY, time.time())


def test_running_jobs_end_with_neither_an_error_nor_a_deploy_to_another_first_host(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """systemd kills what is left when the timer's process ends; the other job is started in spite of it."""
    jobs.set_here(layout, here=True)
    other = dataclasses.replace(HOURLY, name="broken", calendars=["never"])
    manifest = dataclasses.replace(releases.read_manifest(layout, 1), jobs=[other, HOURLY])
    releases.write_manifest(layout, manifest, {})
    jobs.write(layout, "cleanup", "due", calendars=HOURLY.calendars, at=0)
    polls = iter([None, 0])

    def next_time(calendars: list[str], after: float) -> float:
        if calendars == ["never"]:
            raise OSError("no space left")
        return after + 3600

    class Process:
        def __init__(self, _command: list[str]) -> None:
            jobs.set_here(layout, here=False)

        def poll(self) -> int | None:
            return next(polls)

    monkeypatch.setattr(calendar, "next_time", next_time)
    monkeypatch.setattr(commands, "POLL", 0)
    monkeypatch.setattr(subprocess, "Popen", Process)
    commands.tick(layout)
    assert next(polls, "waited for its end") == "waited for its end"
    assert "broken was not started: OSError: no space left" in capfd.readouterr().err


def test_a_row_says_how_it_ended(layout: Layout) -> None:
    """A failing job is visible, and one whose host was cut off in the middle."""

    def state() -> str:
        return str(commands.listed(layout, 1)[0]["state"])

    assert state() == "never ran"
    with jobs.running(layout, "cleanup") as free:
        assert free
        assert state() == "running"
    jobs.write(layout, "cleanup", "last", began="2026")
    assert state() == "cut off"
    jobs.write(layout, "cleanup", "last", began="2026", status=3, reason="ended with status 3 after 1 s")
    assert state() == "failed: ended with status 3 after 1 s"
    jobs.write(layout, "cleanup", "last", began="2026", status=0)
    assert state() == "ok"


def test_a_job_that_may_overlap_runs_until_the_last_one_has_ended(layout: Layout) -> None:
    """However the first one ends."""
    with jobs.running(layout, "cleanup", overlap=True):
        with jobs.running(layout, "cleanup", overlap=True) as free:
            assert free
        assert jobs.is_running(layout, "cleanup")
    with jobs.running(layout, "cleanup", overlap=True) as second:
        assert second
        assert jobs.is_running(layout, "cleanup")
    assert not jobs.is_running(layout, "cleanup")


def test_no_other_user_can_hold_a_job(layout: Layout) -> None:
    """Whoever may read its lock may lock it for ever; earlier versions let every local user."""
    jobs.folder(layout).mkdir(exist_ok=True)
    jobs.folder(layout).chmod(0o755)
    with jobs.running(layout, "clean"):
        assert jobs.folder(layout).stat().st_mode & 0o777 == 0o700


def test_jobs_belong_to_the_content_of_a_release(layout: Layout) -> None:
    """A rollback brings them back, and other hosts get them."""
    content = releases.content(layout, 1)
    assert content.jobs == [HOURLY]
    assert Content.of_json(dataclasses.asdict(content)) == content
    assert dataclasses.replace(content, jobs=[]).digest("key") != content.digest("key")


@pytest.mark.parametrize("wrong", [{"name": "../x"}, {"calendars": ["--help\n"]}, {"calendars": []}])
def test_what_another_host_made_up_is_refused(wrong: dict[str, object]) -> None:
    """Its name becomes a path, its times arguments."""
    with pytest.raises(PackhorseError):
        Job(**{**dataclasses.asdict(HOURLY), **wrong})
