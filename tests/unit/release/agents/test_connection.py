"""The promises of release.agents.connection."""

import hashlib
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.agents import agent_archive, connection
from release.agents.connection import Event
from release.host.request import Start, encode
from tests.support.servers import wait_until

GREETING = 'print(json.dumps({"event": "agent", "present": True}), flush=True)'
REQUEST = Start(
    app="it's $5\n", root="/srv/apps", run="/run", supervised=True, by="ann@example", target_name="local"
)
SENT = json.loads(encode(REQUEST))


@dataclass(frozen=True)
class Played:
    """A Python script that plays the agent, after its greeting."""

    script: str
    greeting: str = GREETING
    name: str = "web1"

    def command(self) -> list[str]:
        return [sys.executable, "-c", f"import sys, json, os, time\n{self.greeting}\n{self.script}"]

    def explain(self, status: int, stderr: str, *, greeted: bool) -> PackhorseError:
        return PackhorseError(f"ended with {status}, {greeted=}", "hint", detail=stderr)


def talk(place: connection.Destination) -> list[Event]:
    """All that the agent says."""
    with connection.AgentProcess(place) as process:
        return list(process.events(REQUEST))


def test_a_request_arrives_whole_and_events_come_back() -> None:
    """Values are JSON on stdin: no shell, no argument list, no quoting."""
    events = talk(
        Played("""
print(json.dumps({"event": "step", "name": "fetch", "text": "Fetching"}))
print(json.dumps({"event": "result", "got": json.loads(sys.stdin.readline())}))
""")
    )
    step = {"event": "step", "name": "fetch", "text": "Fetching"}
    assert events == [step, {"event": "result", "got": SENT}]


def test_an_agent_that_is_missing_is_sent_before_the_request() -> None:
    """Exactly its bytes."""
    size = len(agent_archive.archive().data)
    script = f"""
import hashlib
digest = hashlib.sha256(sys.stdin.buffer.read({size})).hexdigest()
print(json.dumps({{"event": "result", "sha256": digest, "got": json.loads(sys.stdin.readline())}}))
"""
    (result,) = talk(Played(script, GREETING.replace("True}", "False}")))
    digest = hashlib.sha256(agent_archive.archive().data).hexdigest()
    assert (result["sha256"], result["got"]) == (digest, SENT)


def test_the_agent_of_this_machine_answers(tmp_path: Path) -> None:
    """The same bootstrap and archive as on a server."""
    with connection.AgentProcess(connection.LocalDestination(str(tmp_path / "agent"))) as process:
        request = Start(
            app="shop",
            root=str(tmp_path),
            run=str(tmp_path),
            supervised=False,
            by="ann@example",
            target_name="local",
        )
        (answer,) = process.events(request)
    assert answer["message"] == "shop has never been deployed here."
    assert (tmp_path / "agent" / agent_archive.archive().sha256).is_dir()


GARBAGE = (
    *("42", "[]", "{}", '{"event": 5}', '{"event": ["a"]}', '{"event": "agent"}', "[" * 99_999),
    *('{"event": "command"}', '{"event": "output", "stream": 1}', '{"event": "logs", "names": "web.1"}'),
    *('{"event": "lines", "lines": null}', '{"event": "caught up"}', '{"event": "warning", "text": 5}'),
)


@pytest.mark.parametrize(
    ("place", "message", "detail"),
    [
        (Played("sys.stdin.readline(); os.kill(os.getpid(), 9)"), "ended with -9, greeted=True", ""),
        (Played("", "sys.exit('no such thing')"), "ended with 1, greeted=False", "no such thing"),
        (Played("", "sys.stderr.write('x' * 99999); sys.exit(1)"), "ended with 1", "x" * 8192),
        (Played("", "print('Welcome!')"), "something else than the agent speaks: 'Welcome!\\n'", ""),
        *((Played("", f"print({text!r})"), "something else than the agent speaks", "") for text in GARBAGE),
    ],
)
def test_an_agent_that_ends_without_an_answer_is_an_error(place: Played, message: str, detail: str) -> None:
    """Silence is not success; what it said on stderr (the traceback of a bug) is shown."""
    with pytest.raises(PackhorseError) as error:
        talk(place)
    assert message in error.value.message
    assert error.value.detail == detail


WRONG_OUTPUT = ('"stream": 7', '"stream": true', '"stream": "1"', '"stream": [1]', '"stream": 1, "data": 5')
WRONG_ERROR = ('"exit_code": 0', '"exit_code": "x"', '"exit_code": 1e400', '"exit_code": 99999')


@pytest.mark.parametrize(
    "event",
    [
        *(f'{{"event": "output", "data": "YQ==", {wrong}}}' for wrong in WRONG_OUTPUT),
        '{"event": "output", "stream": 1, "data": "a"}',
        *(f'{{"event": "error", "message": "", "hint": "", "detail": "", {wrong}}}' for wrong in WRONG_ERROR),
    ],
)
def test_values_that_no_agent_sends_are_refused(event: str) -> None:
    """Bytes for another descriptor than stdout and stderr would reach the terminal as they are."""
    with pytest.raises(PackhorseError, match="something else than the agent speaks"):
        talk(Played(f"print({event!r})"))


def test_the_output_of_a_command_comes_as_bytes_and_an_error_in_single_lines() -> None:
    """A second line of a message could look like one about another host."""
    events = talk(
        Played("""
print(json.dumps({"event": "output", "stream": 2, "data": "/w=="}))
print(json.dumps({"event": "error", "message": "a\\nb", "hint": "c", "detail": "d\\ne", "exit_code": 3}))
""")
    )
    assert events == [
        {"event": "output", "stream": 2, "data": b"\xff"},
        {"event": "error", "message": "a b", "hint": "c", "detail": "d\ne", "exit_code": 3},
    ]


def test_a_program_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not every machine has an ssh."""
    monkeypatch.setattr(Played, "command", lambda _: ["no-such-ssh"])
    with pytest.raises(PackhorseError, match="There is no program no-such-ssh"):
        connection.AgentProcess(Played(""))


def test_who_lets_us_in_and_does_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host whose disk hangs answers ssh, and nothing else."""
    monkeypatch.setattr(connection, "GREETING_TIMEOUT", 0.3)
    with pytest.raises(PackhorseError, match=r"The agent was silent for 0\.3 s"):
        talk(Played("", "time.sleep(60)"))


def test_close_is_the_end_of_stdin_and_the_last_word_is_still_heard() -> None:
    """The agent decides where it can stop; until it has said so, nobody knows what runs."""
    script = """
print(json.dumps({"event": "step", "name": "a", "text": "b"}), flush=True)
got = sys.stdin.read().splitlines()[1:]
print(json.dumps({"event": "result", "got": got}))
"""
    with connection.AgentProcess(Played(script)) as process:
        events = process.events(REQUEST)
        next(events)
        process.send({"go": "lock"})
        process.pulse()
        process.close()
        process.pulse()
        assert list(events) == [{"event": "result", "got": ['{"go": "lock"}', ""]}]


def test_closed_before_it_greets_nothing_is_waited_for() -> None:
    """A connection that is still being made has nothing to finish; our own kill is no failure of the host."""
    with connection.AgentProcess(Played("", "time.sleep(60)")) as process:
        process.close()
        began = time.monotonic()
        with pytest.raises(PackhorseError, match="Stopped before it began") as caught:
            list(process.events(REQUEST))
        assert caught.value.exit_code == 130
    assert time.monotonic() - began < 30


KILLED = """
import sys, time
sys.path.insert(0, {checkout!r})
from release.agents import connection
from tests.unit.release.agents.test_connection import Played
script = "sys.stdin.read(); open({witness!r}, 'w')"
one, two = (connection.AgentProcess(Played(script)) for _ in range(2))
one.stdout.readline()
print("ready", flush=True)
time.sleep(60)
"""


def test_when_we_are_killed_the_agent_gets_the_end_of_its_stdin(tmp_path: Path) -> None:
    """kill -9 of `release deploy`: no pipe of ours may live on in another child."""
    script = KILLED.format(checkout=str(Path(__file__).parents[4]), witness=str(tmp_path / "witness"))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        process.kill()
    wait_until("the witness", (tmp_path / "witness").exists)
