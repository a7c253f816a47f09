"""Settings of the processes of a target, [targets.NAME.processes], and of its scheduled jobs."""

from typing import Annotated, Literal

from pydantic import AfterValidator

from packhorse import settings
from packhorse.errors import PackhorseError
from packhorse.settings import matching
from release.config.value_types import (
    Command,
    Positive,
    unique,
)
from release.host.disk.manifest import JOB_NAME, NO_JOB_NAMES
from release.host.formats import schedule


class ProcessSettings(settings.Settings):
    """Settings of one process type; `stop_timeout` in seconds, None: the target's graceful_timeout.

    With `overlap` the new one starts before the old one stops. A deploy waits until all have run for
    `check_uptime` seconds, and until `check_command` ends with 0, which is tried for `check_timeout` seconds.
    """

    overlap: bool = False
    stop_timeout: Positive | None = None
    check_uptime: Positive = 1.0
    check_command: Command | None = None
    check_timeout: Positive = 30.0


def _job_name(name: str) -> str:
    if name in NO_JOB_NAMES:
        raise ValueError(f"{name} is the name of another log: give the job another one")
    return name


def _schedule(text: str) -> str:
    try:
        schedule.calendars(text)
    except PackhorseError as error:
        raise ValueError(f"{error.message} {error.hint}") from None
    return text


def _line(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("is no command of one line")
    return text


class JobSettings(settings.Settings):
    """A job: `command` (as in a Procfile) runs at the times of `schedule`, for at most `timeout` seconds.

    `overlap = "forbid"`: not while it still runs.
    """

    name: Annotated[
        str,
        matching(JOB_NAME, 'the name of a job of letters, digits, "-" and "_", such as "cleanup"'),
        AfterValidator(_job_name),
    ]
    schedule: Annotated[str, AfterValidator(_schedule)]
    command: Annotated[str, AfterValidator(_line)]
    overlap: Literal["forbid", "allow"] = "forbid"
    timeout: Positive | None = None


def unique_jobs(jobs: list[JobSettings]) -> list[JobSettings]:
    unique([job.name for job in jobs])
    return jobs
