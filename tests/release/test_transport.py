"""The promises of release.transport."""

import os
import signal
import sys
import threading

import pytest

from packhorse.errors import PackhorseError
from release import transport
from release.transport import Event


def talk(script: str, shown: list[Event] | None = None, said: list[str] | None = None) -> Event:
    """The result of a conversation with a Python script that plays the agent."""
    shown, said = [] if shown is None else shown, [] if said is None else said
    agent = transport.Process([sys.executable, "-c", f"import sys, json\n{script}"])
    return transport.converse(agent, {"value": "it's $5\n"}, shown.append, said.append)


def test_a_request_arrives_whole_and_a_result_comes_back() -> None:
    """Values are JSON on stdin: no shell, no argument list, no quoting."""
    shown: list[Event] = []
    result = talk(
        """
print(json.dumps({"event": "step", "name": "fetch", "text": "Fetching"}))
print(json.dumps({"event": "result", "got": json.loads(sys.stdin.readline())}))
""",
        shown,
    )
    assert result == {"got": {"value": "it's $5\n"}}
    assert [event["name"] for event in shown] == ["fetch"]


def test_an_error_of_the_agent_is_raised_with_all_it_says() -> None:
    """The same two lines, detail and exit status as if it had happened here."""
    with pytest.raises(PackhorseError) as error:
        talk("""
told = {"message": "m", "hint": "h", "detail": "d", "exit_code": 130}
print(json.dumps({"event": "error", **told}))
""")
    told = error.value
    assert (told.message, told.hint, told.detail, told.exit_code) == ("m", "h", "d", 130)


def test_an_agent_that_is_killed_is_an_error_with_a_way_out() -> None:
    """Silence is not success."""
    with pytest.raises(PackhorseError, match=r"without an answer \(status -9\)") as error:
        talk("import os; os.kill(os.getpid(), 9)")
    assert "release status local" in error.value.hint


def test_ctrl_c_closes_stdin_and_waits_for_the_last_word() -> None:
    """The agent decides where it can stop; until it has said so, nobody knows what runs."""
    said: list[str] = []
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    before = signal.getsignal(signal.SIGINT)
    result = talk("""sys.stdin.read(); print(json.dumps({"event": "result", "stopped": True}))""", said=said)
    assert result == {"stopped": True}
    assert said == ["Stopping at the next safe point …"]
    assert signal.getsignal(signal.SIGINT) is before
