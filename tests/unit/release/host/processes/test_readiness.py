"""The promises of release.host.processes.readiness, with nobody who answers."""

import itertools
import time
from dataclasses import replace
from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.host.control.session import StoppedError
from release.host.disk import releases
from release.host.disk.layout import Layout
from release.host.disk.manifest import Health
from release.host.processes import health, readiness
from release.host.processes.watchers import Watcher
from tests.support.release_folders import FakeSupervisor, a_layout, a_manifest, add_release

NOWHERE = Path("/nonexistent/probe.sock")


def started(folder: Path, **processes: str) -> Layout:
    """Release 1, whose processes have just been started."""
    layout = a_layout(folder)
    add_release(layout, 1)
    releases.write_manifest(layout, a_manifest(1, {"web": "serve", **processes}), {})
    return layout


def await_answer(layout: Layout) -> PackhorseError:
    with pytest.raises(PackhorseError) as error:
        readiness.await_answer(layout, FakeSupervisor(layout), [Watcher("web", 1)], time.sleep)
    return error.value


def test_the_cause_is_shown_although_the_server_says_much_after_it(tmp_path: Path) -> None:
    """gunicorn writes its own traceback last, in which the application does not occur."""
    layout = started(tmp_path)
    trace = "Traceback (most recent call last):\n"
    cause = f"{trace}  File \"shop.py\", line 39, in <module>\n    os.environ['TOKEN']\nKeyError: 'TOKEN'\n"
    ending = f'{trace}  File "arbiter.py"\n    raise\ngunicorn.errors.HaltServer: <HaltServer 3>\n'
    noise = "".join(f"{letter} stops\n" for letter in "abcdefghijklmnopqrstuvwxyz")
    layout.log("web.1").write_text(f"{cause}{noise}{ending}")
    detail = await_answer(layout).detail
    assert "KeyError: 'TOKEN'\n…\n" in detail
    assert 'File "shop.py", line 39' in detail
    assert detail.endswith("HaltServer: <HaltServer 3>")


def test_a_release_that_does_not_answer_is_shown_with_the_end_of_its_log(tmp_path: Path) -> None:
    """The reason stands there, and nobody wants to log in for it."""
    layout = started(tmp_path)
    layout.log("web.1").write_text("starting\nKeyError: 'DATABASE_URL'\n")
    error = await_answer(layout)
    assert error.message.startswith("shop 1.0 (release 1) is not healthy: no good answer within 0.2 s")
    assert error.detail == "Last lines of its log:\nstarting\nKeyError: 'DATABASE_URL'"
    assert str(layout.log("web.1")) in error.hint


@pytest.mark.parametrize(
    "line",
    [
        "PermissionError: [Errno 13] Permission denied: 'notes.db'",
        "OSError: [Errno 30] Read-only file system: '/srv/apps/shop/current/notes.db'",
        "sqlite3.OperationalError: unable to open database file",
        "sqlite3.OperationalError: attempt to write a readonly database",
    ],
)
def test_a_process_that_writes_into_its_release_is_told_where_data_belongs(tmp_path: Path, line: str) -> None:
    """Most of what people run writes beside its code until told otherwise."""
    layout = started(tmp_path)
    layout.log("web.1").write_text(f"{line}\n")
    assert "$DATA_DIR" in await_answer(layout).hint
    layout.log("web.1").write_text("PermissionError: [Errno 13] Permission denied\n")  # a port below 1024
    assert "$DATA_DIR" not in await_answer(layout).hint


def test_a_server_behind_a_shell_is_given_the_likely_reason(tmp_path: Path) -> None:
    """A shell in between keeps the socket to itself; nothing in the log says so."""
    error = await_answer(started(tmp_path, web="prepare && serve"))
    assert "Write `exec` before the server" in error.hint
    assert error.detail == "Last lines of its log:\n(it wrote nothing)"
    assert "exec" not in await_answer(started(tmp_path / "other", web="prepare && exec serve")).hint


@pytest.mark.parametrize(
    ("status", "path", "hint"),
    [
        (
            404,
            "/up",
            'Let the application answer GET /up with 2xx, or change [health] path = "/up" in release.toml.',
        ),
        (404, None, 'answer GET / with 2xx, or change [health] path = "/…" in release.toml.'),
        (302, "/up", "without a password or a redirect"),
        (302, "/", "Without a path, / may do both."),
        (403, "/up", "without a password or a redirect"),
        (
            400,
            "/up",
            'accept the host shop.example.com (Django: ALLOWED_HOSTS), change [health] host = "shop',
        ),
        (503, "/up", "Correct it, upload a new version"),
        (None, "/up", "set [health] timeout = 0.4 in release.toml."),
    ],
)
def test_who_is_not_answered_is_told_what_to_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int | None, path: str | None, hint: str
) -> None:
    """The first deploy of an application made elsewhere: its code is right, a new version would not help."""
    layout = started(tmp_path)
    manifest = replace(a_manifest(1, {"web": "serve"}), health=Health(path, "shop.example.com", 0.2, 0.01))
    releases.write_manifest(layout, manifest, {})
    text = f"{status} Something" if status else health.NO_ANSWER
    answer = health.ProbeResult(healthy=False, text=text, status=status, path=path or "/")
    monkeypatch.setattr(health, "probe", lambda *_: answer)
    error = await_answer(layout)
    assert f"the answer to GET {path or '/'} (Host: shop.example.com) was {text}" in error.message
    assert hint in error.hint


def test_workers_alone_are_healthy_while_they_run(tmp_path: Path) -> None:
    """There is nobody to ask."""
    layout = started(tmp_path)
    releases.write_manifest(layout, a_manifest(1, {"worker": "work"}), {})
    circus = FakeSupervisor(layout, alive=True)
    assert readiness.await_answer(layout, circus, [], time.sleep) == "It serves no requests"
    circus.active = {"worker.1"}
    assert readiness.is_healthy(layout, circus, 1)
    circus.alive = False
    assert not readiness.is_healthy(layout, circus, 1)


BOOT = [
    "[17] [INFO] Booting worker with pid: 17",
    "Traceback (most recent call last):",
    '  File "a.py", line 3',
]
PROBED = '127.0.0.1 [26/Nov/2026:01:52:{second}] "GET /healthz HTTP/1.1" 404'


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], []),
        (["a", "a"], ["a", "(this line 2 times)"]),
        (["b", "a", "b"], ["b", "a", "b"]),
        (
            [*BOOT, *[PROBED.format(second=second) for second in range(10, 40)]],
            [*BOOT, PROBED.format(second=39), "(this line 30 times)"],
        ),
        (["first", *BOOT, *BOOT, *BOOT], ["first", *BOOT, "(the last 3 lines 3 times)"]),
    ],
)
def test_what_a_log_repeats_is_shown_once(lines: list[str], expected: list[str]) -> None:
    """Twenty equal lines hide the one that says why."""
    assert readiness.without_repetitions(lines) == expected


def test_a_process_that_nobody_can_ask_has_to_stay_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its type is named: a release has several."""
    monkeypatch.setattr(readiness, "START_TIMEOUT", 0.1)
    layout = started(tmp_path, worker="work")
    with pytest.raises(PackhorseError, match=r"worker of shop 1\.0 .* its process ended at once"):
        readiness.await_up(layout, FakeSupervisor(layout), [Watcher("worker", 1)], time.sleep)
    assert not readiness.is_healthy(layout, FakeSupervisor(layout), 1)


def test_a_process_that_ends_before_anybody_sees_it_has_ended_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Circus gives up after some tries, and nothing of it is left to see for the rest of the wait."""
    monkeypatch.setattr(readiness, "START_TIMEOUT", 0.3)
    monkeypatch.setattr(readiness, "STAY_UP", 0.1)
    layout = started(tmp_path, worker="work")
    with pytest.raises(PackhorseError, match="its process ended at once"):
        readiness.await_up(layout, FakeSupervisor(layout), [Watcher("worker", 1)], time.sleep)


def test_a_process_is_looked_at_once_more_when_its_time_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine all of it may pass between two looks, and nobody has seen it run."""
    monkeypatch.setattr(readiness, "START_TIMEOUT", 0.3)
    monkeypatch.setattr(readiness, "STAY_UP", 0.1)
    layout = started(tmp_path, worker="work")
    with pytest.raises(PackhorseError, match="its process ended at once"):
        readiness.await_up(
            layout, FakeSupervisor(layout), [Watcher("worker", 1)], lambda _seconds: time.sleep(0.4)
        )


def test_workers_have_to_stay_up_at_the_same_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release with ten of them is ready after a second, not after ten; without any, at once."""
    layout = started(tmp_path, worker="work", mailer="mail")
    monkeypatch.setattr(readiness, "STAY_UP", 0.2)
    circus = FakeSupervisor(layout, alive=True)
    circus.active = {"worker.1", "mailer.1"}
    waits: list[float] = []

    def pause(seconds: float) -> None:
        waits.append(seconds)
        time.sleep(seconds)

    readiness.await_up(layout, circus, [], pause)
    assert not waits
    readiness.await_up(layout, circus, [Watcher("worker", 1), Watcher("mailer", 1)], pause)
    assert 0 < sum(waits) < 0.35


def test_a_process_that_keeps_ending_is_given_up_early() -> None:
    """Nobody should wait 30 s for an ImportError."""
    pids = iter(range(100))
    slow = Health("/healthz", "localhost", timeout=60, interval=0.01)
    with pytest.raises(readiness.NotReadyError, match="keeps ending") as error:
        readiness.probe_until_healthy(NOWHERE, slow, lambda: [next(pids)], lambda _: None)
    assert "GET /healthz (Host: localhost) was none: No such file" in str(error.value)


def test_the_wait_ends_at_the_deadline() -> None:
    """Every wait has one, and says what it waited for."""
    short = Health("/up", "localhost", timeout=0.05, interval=0.01)
    with pytest.raises(
        readiness.NotReadyError,
        match=r"no good answer within 0\.05 s; the answer to GET /up \(Host: localhost\) was",
    ):
        readiness.probe_until_healthy(NOWHERE, short, lambda: [1], lambda _: None)


def test_the_wait_can_be_stopped() -> None:
    """Ctrl-C while a release starts."""

    def pause(_seconds: float) -> None:
        raise StoppedError("Stopped.", "Again.")

    with pytest.raises(StoppedError):
        readiness.probe_until_healthy(NOWHERE, Health("/", "localhost", 60, 0.01), list, pause)


def test_one_of_several_processes_that_answers_does_not_speak_for_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They share a socket: the first that is up answers each probe, while the others crash."""
    monkeypatch.setattr(health, "probe", lambda *_: health.ProbeResult(healthy=True, text="200"))
    crashing = itertools.count(2)
    settings = Health("/", "localhost", 60, 0.01)
    with pytest.raises(readiness.NotReadyError, match=r"one of its 2 processes keeps ending \(4 so far\)"):
        readiness.probe_until_healthy(NOWHERE, settings, lambda: [1, next(crashing)], lambda _: None, 2)
    monkeypatch.setattr(readiness, "STAY_UP", 0)
    answer = readiness.probe_until_healthy(NOWHERE, settings, lambda: [1, 2], lambda _: None, 2)
    assert answer.healthy
