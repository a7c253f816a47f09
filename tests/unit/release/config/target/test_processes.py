"""The promises of release.config.target.processes."""

import re
from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.config import release_toml
from release.config.release_toml import ReleaseConfig


def load(folder: Path, text: str = "") -> ReleaseConfig:
    """The settings of a release.toml in `folder`."""
    folder.joinpath("release.toml").write_text(f'app = "shop"\n{text}')
    return release_toml.load(folder)


def test_web_has_a_probe_and_no_check(tmp_path: Path) -> None:
    """What is set for nothing would be taken for a promise."""
    worker = "[targets.local.processes.worker]\ncheck_uptime = 10\ncheck_command = ['ping', '$X']\n"
    process = load(tmp_path, worker).targets["local"].processes["worker"]
    assert (process.check_uptime, process.check_command, process.check_timeout) == (
        10.0,
        ["ping", "$X"],
        30.0,
    )
    with pytest.raises(PackhorseError, match="web is asked over HTTP"):
        load(tmp_path, worker.replace("worker", "web"))


@pytest.mark.parametrize(
    ("job", "said"),
    [
        ('name = "../x"', "jobs.0.name"),
        ('name = "run"', "run is the name of another log"),
        ('schedule = "61 * * * *"', '"61" is no minute of cron'),
        ('command = "a\\nb"', "is no command of one line"),
        ('overlap = "maybe"', "jobs.0.overlap"),
        ("timeout = 0", "jobs.0.timeout"),
        ('shedule = "daily"', "did you mean"),
    ],
)
def test_a_job_that_could_not_run_is_refused(tmp_path: Path, job: str, said: str) -> None:
    """With its place in the file; what only systemd knows, a host says before it touches anything."""
    lines = {"name": '"a"', "schedule": '"daily"', "command": '"true"'}
    lines.pop(job.partition(" =")[0], None)
    text = "".join(f"{key} = {value}\n" for key, value in lines.items())
    with pytest.raises(PackhorseError, match=re.escape(said)):
        load(tmp_path, f"[[targets.production.jobs]]\n{text}{job}\n")


def test_two_jobs_of_one_name_are_refused(tmp_path: Path) -> None:
    """Each has one state."""
    job = '[[targets.production.jobs]]\nname = "a"\nschedule = "daily"\ncommand = "true"\n'
    with pytest.raises(PackhorseError, match="a is listed twice"):
        load(tmp_path, job * 2)
