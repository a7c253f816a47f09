"""The promises of release.deploy.hooks: real commands, invented outcomes."""

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from packhorse.errors import PackhorseError
from release.agents.controller import Outcome
from release.agents.schedule import HostState
from release.config.hooks import Hooks
from release.deploy import hooks
from release.deploy.hooks import HookedCommand
from tests.support.servers import wait_until

FACTS = {"TARGET": "production", "HOSTS": "web1", "NUMBER": "", "ERROR": "", "OUTCOME": ""}
DONE = Outcome(
    (
        HostState(
            "web1",
            last={
                "event": "result",
                "reverted": False,
                "unchanged": False,
                "release": 7,
                "project": "shop",
                "version": "1.2",
                "url": "https://shop.example.com/",
                "artifact": {"commit": "abc1234"},
            },
        ),
    ),
    None,
)


class Shown(list[str]):
    """Keeps the lines, as without --verbose."""

    def __call__(self, subject: str, text: str) -> None:
        if subject != "command":
            self.append(f"{subject}: {text}")


def _run(
    tmp_path: Path, name: str = "deploy", *, quiet: bool = False, **settings: object
) -> tuple[HookedCommand, Shown]:
    shown = Shown()
    return HookedCommand(Hooks.model_validate(settings), tmp_path, name, dict(FACTS), shown, quiet), shown


WRITES = ["sh", "-c", 'env | grep ^RELEASE_ | sort > "$0"']


def test_the_facts_are_variables(tmp_path: Path) -> None:
    """And what the shell of the deployer has; the working directory is the project."""
    running, _ = _run(tmp_path, before_deploy=[*WRITES, "before"], after_deploy=[*WRITES, "after"])
    with hooks.around(running):
        running.finish(DONE, None)
    assert "RELEASE_TARGET=production" in (tmp_path / "before").read_text()
    after = (tmp_path / "after").read_text()
    assert all(
        line in after
        for line in (
            "RELEASE_NUMBER=7",
            "RELEASE_VERSION=1.2",
            "RELEASE_COMMIT=abc1234",
            "RELEASE_URL=https://shop.example.com/",
            "RELEASE_OUTCOME=done",
        )
    )


WRONG = ["1\0", "\ud800", "x" * 200_000, "1" * 5000, ["1.0"], {"a": 1}, 10**5000, 1.5, True, "a b\n"]


@pytest.mark.parametrize("wrong", WRONG, ids=range(len(WRONG)))
def test_what_a_host_says_of_its_release_suppresses_no_hook(tmp_path: Path, wrong: object) -> None:
    """It may be compromised, and want nobody to hear of this deploy."""
    lies = (
        {"release": wrong, "version": wrong, "url": wrong, "artifact": {"commit": wrong}},
        {"artifact": wrong},
    )
    for lie in lies:
        running, shown = _run(tmp_path, after_deploy=[*WRITES, "after"])
        running.finish(Outcome((HostState("web1", last={"event": "result", **lie}),), None), None)
        assert shown == []
        after = (tmp_path / "after").read_text().splitlines()
        assert {f"RELEASE_{name}=" for name in ("NUMBER", "VERSION", "COMMIT", "URL")} <= set(after)
        assert running.message([])["data"]["number"] is None


def test_the_error_of_a_host_suppresses_no_hook(tmp_path: Path) -> None:
    """A lone surrogate is no text for an environment."""
    running, shown = _run(tmp_path, on_failure=[*WRITES, "failure"])
    running.fail("failed", "no\ud800\0t")
    assert shown == []
    assert "RELEASE_ERROR=no?t" in (tmp_path / "failure").read_text()


def test_a_failing_before_hook_stops_and_is_a_failure(tmp_path: Path) -> None:
    """What it wrote is shown as it comes; with --quiet the error has it."""
    for quiet in (False, True):
        command = ["sh", "-c", "echo no; exit 3"]
        running, shown = _run(tmp_path, quiet=quiet, before_deploy=command, on_failure=[*WRITES, "failure"])
        with pytest.raises(PackhorseError, match="before_deploy: sh ended with status 3") as failed:  # noqa: SIM117
            with hooks.around(running):
                raise AssertionError("the block must not run")
        assert shown == ["before_deploy: no"]
        assert failed.value.detail == ("no" if quiet else "")
        assert "RELEASE_ERROR=before_deploy: sh ended" in (tmp_path / "failure").read_text()


def test_a_failing_after_hook_is_a_warning(tmp_path: Path) -> None:
    """The new release serves."""
    running, shown = _run(tmp_path, after_deploy=["no-such-program"])
    with hooks.around(running):
        running.finish(DONE, None)
    assert shown[0].startswith("warning: after_deploy: no-such-program cannot be started: No such file")


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(PackhorseError("web2: it broke", ""), "failed"), (KeyboardInterrupt(), "stopped")],
)
def test_what_ends_the_command_runs_on_failure_once(
    tmp_path: Path, error: BaseException, outcome: str
) -> None:
    """An error of the controller, and the second Ctrl-C."""
    running, _ = _run(tmp_path, on_failure=["sh", "-c", 'echo "$RELEASE_OUTCOME" >> out'])
    with pytest.raises(type(error)), hooks.around(running):
        raise error
    assert (tmp_path / "out").read_text() == f"{outcome}\n"


def test_a_stopped_deploy_runs_on_failure_once(tmp_path: Path) -> None:
    """The first Ctrl-C: hosts have gone back, and the error comes later."""
    running, _ = _run(tmp_path, on_failure=["sh", "-c", 'echo "$RELEASE_OUTCOME $RELEASE_ERROR" >> out'])
    with pytest.raises(PackhorseError), hooks.around(running):  # noqa: PT012
        running.finish(Outcome(DONE.hosts, "Ctrl-C"), PackhorseError("Ctrl-C: switched back.", ""))
        raise PackhorseError("Ctrl-C: switched back.", "")
    assert (tmp_path / "out").read_text() == "stopped Ctrl-C: switched back.\n"


def test_sigterm_is_a_failure_too(tmp_path: Path) -> None:
    """CI cancels a job with it."""
    running, _ = _run(tmp_path, on_failure=[*WRITES, "failure"])
    with pytest.raises(KeyboardInterrupt), hooks.around(running):  # noqa: PT012
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
    assert "RELEASE_OUTCOME=stopped" in (tmp_path / "failure").read_text()


def test_a_hook_that_hangs_is_ended_with_all_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it ignores TERM; the host was not touched."""
    monkeypatch.setattr(hooks, "GRACE", 0.2)
    command = ["sh", "-c", "trap '' TERM; sleep 1000 & echo $!; wait; sleep 1000"]
    running, shown = _run(tmp_path, before_deploy=command, timeout=3.0)
    with pytest.raises(PackhorseError, match="did not end within 3 s"):
        running.before()
    pid = int(shown[0].partition(": ")[2])

    def has_ended() -> bool:
        return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE

    wait_until("the end of what the hook started", has_ended)  # after KILL, it takes a moment


def test_a_hook_that_leaves_a_daemon_does_not_hold_up_the_deploy(tmp_path: Path) -> None:
    """It keeps the pipe open."""
    running, shown = _run(tmp_path, before_deploy=["sh", "-c", "sleep 30 & echo started"])
    began = time.monotonic()
    running.before()
    assert shown == ["before_deploy: started"]
    assert time.monotonic() - began < 20


def test_output_without_end_costs_no_memory(tmp_path: Path) -> None:
    """A line is cut, the lines before the last ones are forgotten; bytes that are no UTF-8 do no harm."""
    script = "head -c 5000000 /dev/zero; echo; printf '\\377\\n'; seq 1 1000; exit 1"
    running, shown = _run(tmp_path, quiet=True, before_deploy=["sh", "-c", script])
    with pytest.raises(PackhorseError) as failed:
        running.before()
    assert failed.value.detail.splitlines()[-1] == "1000"
    assert max(map(len, shown)) < 5000


def test_a_change_of_the_configuration_has_the_webhook_only(tmp_path: Path) -> None:
    """Tests before a deploy have nothing to do with a new password; an audit has."""
    running, shown = _run(tmp_path, "config", before_deploy=["false"], after_deploy=["false"])
    with hooks.around(running):
        running.finish(DONE, None)
    assert shown == []
    message = running.message([{"host": "web1", "outcome": "done"}])
    assert message["type"] == "config.done"
    assert message["data"]["number"] == 7
    assert message["data"]["hosts"] == [{"host": "web1", "outcome": "done"}]
    assert message["data"]["error"] is None
