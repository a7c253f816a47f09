"""release.agents.controller, with agents played by scripts at the other end of real pipes."""

import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.agents import connection, controller
from release.agents.connection import Event
from release.deploy import outcome
from release.host.request import Rollback
from tests.support.servers import wait_until

# An agent that does nothing but keep the protocol, and writes into `log` when it was where.
AGENT = """
import json, os, sys, time
def say(**event): print(json.dumps(event), flush=True)
def note(what):
    with open({log!r}, "a") as log: log.write(f"{{what}} {name}\\n")
def stopped():
    say(event="error", message="Stopped before the switch.", hint="h", detail="", exit_code=130); sys.exit()
def fail(): say(event="error", message="it broke", hint="h", detail="its log", exit_code=1); sys.exit()
def line():
    while (text := sys.stdin.readline()) == "\\n": pass
    return json.loads(text) if text else None
def gate(where, **more):
    if {fault!r} == "die at " + where: os.kill(os.getpid(), 9)
    if {fault!r} == "fail before " + where: fail()
    say(event="gate", name=where, **more)
    if {fault!r} == "lost at " + where:
        while not os.path.exists({log!r}[:-3] + "lost"): time.sleep(0.01)
        os.kill(os.getpid(), 9)
    order = line()
    if order and "go" in order:
        assert order["go"] == where; note(where); return True
    if where != "verdict": stopped()
    note("back")
    say(event="result", reverted=True, unchanged=False, project="tiny", version="0.1.0", release=1)
    sys.exit()
say(event="agent", present=True)
request = line()
if request["gates"]:
    gate("lock")
    say(event="step", name="lock", text=""); time.sleep({pace} / 3)
    gate("agreement", offer=dict(next=2, candidate=dict(digest="d"), current=None, running=None))
    say(event="step", name="fetch", text="")
    if {fault!r} == "unchanged":
        say(event="result", unchanged=True, project="tiny", version="0.2.0", release=2, url="u"); sys.exit()
    gate("start", digest="d")
    note("phase") if request["release_phase"] else None
    time.sleep({pace})
    if "switch" in request["gates"]:
        gate("switch")
    gate("verdict")
if {fault!r} == "fail": fail()
say(event="result", unchanged=False, project="tiny", version={version!r}, release=2, url="u")
"""


@dataclass(frozen=True)
class Played:
    """A host whose agent has a `fault`: "die at GATE", "fail before GATE", "fail", "unchanged", or none."""

    name: str
    log: Path
    fault: str = ""
    version: str = "0.2.0"
    pace: float = 0.05

    def command(self) -> list[str]:
        words = {**vars(self), "log": str(self.log)}
        return [sys.executable, "-I", "-S", "-c", AGENT.format(**words)]

    def explain(self, status: int, stderr: str, *, greeted: bool) -> PackhorseError:
        return PackhorseError(f"the connection was lost ({status}, {greeted}) {stderr}", "hint")


@dataclass(frozen=True)
class Scripted:
    """A host whose agent is `script`."""

    script: str
    name: str = "web1"

    def command(self) -> list[str]:
        return [sys.executable, "-I", "-S", "-c", self.script]

    def explain(self, status: int, stderr: str, *, greeted: bool) -> PackhorseError:
        return PackhorseError(f"{status} {stderr} {greeted}", "hint")


def a_rollback(name: str = "web1", *, gated: bool = False, balanced: bool = False) -> Rollback:
    """A request; hosts played by scripts look at two of its fields."""
    return Rollback(
        app="tiny",
        root="/srv/apps",
        run="/run",
        supervised=True,
        by="ann@example",
        target_name="production",
        index_url=None,
        keep=5,
        key="key",
        release=None,
        release_phase=name == "web1",
        gates=["lock", *(["switch"] if balanced else [])] if gated else [],
    )


class Fleet:
    """Hosts web1, web2, … and what happened on them."""

    def __init__(self, folder: Path, **faults: str) -> None:
        self.log = folder / "log"
        self.log.touch()
        self.places = [
            Played(f"web{number}", self.log, faults.get(f"web{number}", "")) for number in (1, 2, 3, 4)
        ]
        self.shown: list[tuple[str, Event]] = []

    def run(
        self,
        batch: int | None = 2,
        balancers: controller.Balancers | None = None,
        preparation: controller.Preparation | None = None,
    ) -> controller.Outcome:
        with ExitStack() as stack:
            agents = {
                place.name: stack.enter_context(connection.AgentProcess(place)) for place in self.places
            }
            requests = {
                name: a_rollback(name, gated=batch is not None, balanced=balancers is not None)
                for name in agents
            }

            def show(name: str, event: Event) -> None:
                self.shown.append((name, event))

            return controller.run(agents, requests, show, batch, balancers, preparation=preparation)

    @property
    def happened(self) -> list[str]:
        return self.log.read_text().splitlines()


def states(outcome_: controller.Outcome) -> list[str]:
    return [outcome.state(host) for host in outcome_.hosts]


def test_all_hosts_run_the_new_release(tmp_path: Path) -> None:
    """Locks in order, the canary alone, the release phase once, the verdict when all are healthy."""
    fleet_ = Fleet(tmp_path)
    done = fleet_.run()
    assert states(done) == ["done"] * 4
    assert outcome.error(done, "prod", named=True) is None
    happened = [line for line in fleet_.happened if not line.startswith("agreement")]
    assert happened[:4] == ["lock web1", "lock web2", "lock web3", "lock web4"]
    assert happened[4:6] == ["start web1", "phase web1"]
    assert {*happened[6:8]} == {"start web2", "start web3"}
    assert happened[8] == "start web4"
    assert {line.split()[0] for line in happened[9:]} == {"verdict"}


class Noted:
    """A balancer that notes in the log which hosts it has out."""

    def __init__(self, log: Path) -> None:
        self.log = log

    def hold(self, hosts: Sequence[str]) -> None:
        with self.log.open("a") as log:
            log.write(f"out {' '.join(hosts)}\n")

    def pulse(self) -> None:
        pass


@pytest.mark.parametrize("fault", ["", "fail before verdict"])
def test_balancers_have_a_host_out_while_it_switches_and_none_at_the_end(tmp_path: Path, fault: str) -> None:
    """Also when it fails in the middle of it."""
    fleet_ = Fleet(tmp_path, web3=fault)
    fleet_.run(balancers=Noted(fleet_.log))
    out: list[str] = []
    for line in fleet_.happened:
        what, *names = line.split()
        out = names if what == "out" else out
        # An agent's note of its switch may come after the failure of another one.
        assert what != "switch" or fault or names[0] in out
        assert what != "verdict" or not out
    switched = sum(line.startswith("switch") for line in fleet_.happened)
    # web3 may fail before web2 was told to switch.
    assert (out, switched >= (2 if fault else 4)) == ([], True)


class Work:
    """Work to be done before any host starts, which notes in the log that it is; or fails by `error`."""

    def __init__(self, log: Path, error: PackhorseError | None = None) -> None:
        self.log, self.error, self.stopped = log, error, False

    def run(self, say: Callable[[str, str], None]) -> None:
        say("assets", "Pushing")
        if self.error:
            raise self.error
        with self.log.open("a") as log:
            log.write("prepared\n")

    def stop(self) -> None:
        self.stopped = True


def test_no_host_starts_before_the_preparation_is_done(tmp_path: Path) -> None:
    """It begins when all have installed the release; they say what goes on."""
    fleet_ = Fleet(tmp_path)
    assert states(fleet_.run(preparation=Work(fleet_.log))) == ["done"] * 4
    happened = fleet_.happened
    place = happened.index("prepared")
    assert not [line for line in happened[:place] if line.startswith("start")]
    assert sum(line.startswith("agreement") for line in happened[:place]) == 4
    assert ("web4", {"event": "step", "name": "assets", "text": "Pushing"}) in fleet_.shown


def test_a_preparation_that_fails_starts_nothing(tmp_path: Path) -> None:
    """All hosts end first, and the error is that of the preparation."""
    fleet_ = Fleet(tmp_path)
    work = Work(fleet_.log, PackhorseError("The bucket is gone.", "Make it."))
    with pytest.raises(PackhorseError, match="The bucket is gone"):
        fleet_.run(preparation=work)
    assert not [line for line in fleet_.happened if line.startswith(("start", "prepared"))]
    assert sum(event["event"] == "error" for _, event in fleet_.shown) == 4


class Lasting:
    """Work that kills the agent of `web2`, ends a while after it was stopped, and notes when."""

    def __init__(self, fleet_: Fleet) -> None:
        self.fleet, self.stopped = fleet_, threading.Event()
        self.others_at_the_end: int | None = None

    def run(self, _say: Callable[[str, str], None]) -> None:
        self.fleet.log.with_name("lost").touch()
        assert self.stopped.wait(30)
        time.sleep(0.3)
        self.others_at_the_end = sum(event["event"] == "error" for _, event in self.fleet.shown) - 1
        raise PackhorseError("Stopped before all was done.", "Run the command again.")

    def stop(self) -> None:
        self.stopped.set()


def test_a_host_that_is_lost_ends_the_preparation_before_others_let_go_of_their_locks(tmp_path: Path) -> None:
    """What it does counts on them; and the host that was lost is what all hear of."""
    fleet_ = Fleet(tmp_path, web2="lost at start")
    work = Lasting(fleet_)
    done = fleet_.run(preparation=work)
    assert work.others_at_the_end == 0
    assert done.stopped == "Stopped before all was done."
    assert states(done) == ["untouched", "failed", "untouched", "untouched"]
    error = outcome.error(done, "prod", named=True)
    assert error
    assert error.message.startswith("web2: the connection was lost")


@pytest.mark.parametrize("fault", ["die at", "fail before"])
@pytest.mark.parametrize(
    ("gate", "others"),
    [("lock", "untouched"), ("start", "untouched"), ("verdict", "reverted")],
)
def test_one_host_that_fails_takes_all_back(tmp_path: Path, fault: str, gate: str, others: str) -> None:
    """By an error or without a word, whenever it is; one not yet started has nothing to take back."""
    fleet_ = Fleet(tmp_path, web3=f"{fault} {gate}")
    done = fleet_.run(batch=1)
    expected = [others, others, "failed", "untouched"]
    assert states(done) == expected
    error = outcome.error(done, "prod", named=True)
    assert error
    assert error.message.startswith(
        "web3: the connection was lost" if fault == "die at" else "web3: it broke"
    )
    assert [line for line in fleet_.happened if "verdict" in line] == []


def test_a_canary_that_fails_is_the_only_one_that_ever_started(tmp_path: Path) -> None:
    """That is what it is for."""
    fleet_ = Fleet(tmp_path, web1="fail before verdict")
    assert states(fleet_.run()) == ["failed", "untouched", "untouched", "untouched"]
    assert [line for line in fleet_.happened if line.startswith("start")] == ["start web1"]


def test_who_runs_it_already_is_left_alone(tmp_path: Path) -> None:
    """The same command again after half of the hosts were down."""
    done = Fleet(tmp_path, web1="unchanged", web3="unchanged").run()
    assert states(done) == ["unchanged", "done", "unchanged", "done"]
    assert outcome.error(done, "prod", named=True) is None


@contextmanager
def signalled(fleet_: Fleet, number: int, line: str) -> Iterator[None]:
    """Send us signal `number` as soon as `line` has happened; the handler of before has to come back.

    That handler ignores the signal: on a busy machine it may come after the run, and would end pytest.
    """

    def watch() -> None:
        while line not in fleet_.happened:
            time.sleep(0.001)
        os.kill(os.getpid(), number)

    def ignore(*_: object) -> None:
        pass

    before = signal.signal(number, ignore)
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
        thread.join()
        assert signal.getsignal(number) is ignore
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("line", ["lock web2", "start web1", "start web2", "start web4"])
def test_ctrl_c_leaves_all_hosts_on_the_old_release(tmp_path: Path, number: int, line: str) -> None:
    """At any moment before the verdict: nobody may be left on the new one."""
    fleet_ = Fleet(tmp_path)
    with signalled(fleet_, number, line):
        done = fleet_.run(batch=1)
    assert set(states(done)) <= {"untouched", "reverted"}
    error = outcome.error(done, "prod", named=True)
    assert error
    assert error.exit_code == 130
    assert ("", {"event": "stop", "reason": done.stopped}) in fleet_.shown


def test_ctrl_c_after_the_verdict_changes_nothing(tmp_path: Path) -> None:
    """All have been told that the new release is for good."""
    fleet_ = Fleet(tmp_path)
    with signalled(fleet_, signal.SIGINT, "verdict web1"):
        done = fleet_.run(batch=4)
    assert states(done) == ["done"] * 4
    assert outcome.error(done, "prod", named=True) is None


def test_without_gates_every_host_answers_for_itself(tmp_path: Path) -> None:
    """`release status` of a target of which one host is down."""
    assert states(Fleet(tmp_path, web2="fail").run(batch=None)) == ["done", "failed", "done", "done"]


def test_without_gates_ctrl_c_closes_and_is_no_error_when_all_end_well() -> None:
    """`release logs --follow` ends by Ctrl-C, and has done what was wanted."""
    script = """
import json, sys
print(json.dumps({"event": "agent", "present": True}), flush=True)
sys.stdin.readline()
print(json.dumps({"event": "step", "name": "x", "text": "y"}), flush=True)
sys.stdin.read()
print(json.dumps({"event": "result"}))
"""

    def show(_host: str, event: Event) -> None:
        if event["event"] == "step":
            os.kill(os.getpid(), signal.SIGINT)

    with connection.AgentProcess(Scripted(script)) as process:
        done = controller.run({"web1": process}, {"web1": a_rollback()}, show)
    assert outcome.error(done, "prod", named=True) is None


def test_a_bug_in_what_shows_ends_everything(tmp_path: Path) -> None:
    """No thread may keep the command, or a host its lock."""
    fleet_ = Fleet(tmp_path)
    fleet_.shown = None  # type: ignore[assignment]
    with pytest.raises(AttributeError):
        fleet_.run()


def test_agents_hear_that_we_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cut cable says nothing: an agent that hears nothing for long lets go."""
    monkeypatch.setattr(controller, "PULSE", 0.05)
    script = """
import json, sys
print(json.dumps({"event": "agent", "present": True}), flush=True)
sys.stdin.readline()
print(json.dumps({"event": "result", "heard": sys.stdin.readline()}))
"""
    with connection.AgentProcess(Scripted(script)) as process:
        done = controller.run({"web1": process}, {"web1": a_rollback()}, lambda *_: None)
    assert done.hosts[0].last == {"event": "result", "heard": "\n"}


def test_a_signal_that_wakes_nobody_up_is_noticed_all_the_same() -> None:
    """Here another thread gets it; at the moment at which a wait begins it is the same."""
    events = queue.SimpleQueue[tuple[str, Event | BaseException]]()
    main = threading.get_ident()

    def send() -> None:
        wait_until("a wait", lambda: sys._current_frames()[main].f_code.co_name == "next_event")
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
        time.sleep(10 * controller.LOOK)
        events.put(("late", {}))

    before = signal.signal(signal.SIGUSR1, lambda *_: events.put(("", {"event": "stop"})))
    try:
        threading.Thread(target=send, daemon=True).start()
        assert controller.next_event(events) == ("", {"event": "stop"})
    finally:
        signal.signal(signal.SIGUSR1, before)
