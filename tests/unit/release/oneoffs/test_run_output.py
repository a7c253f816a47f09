"""The promises of release.oneoffs.run_output."""

import pytest

from release.agents import schedule
from release.agents.controller import Outcome
from release.oneoffs import run_output


def test_lines_of_several_hosts_are_whole_and_have_their_host_in_front(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    """Pieces arrive as networks cut them; bytes that are no UTF-8 stay as they are."""
    output = run_output.Prefixed(["web1", "db.example"])
    output("web1", 1, b"a\nb")
    output("db.example", 1, b"\xff\n")
    output("web1", 2, b"oh\n")
    output("web1", 1, b"c\n\nlast")
    output.finish()
    shown, errors = capfdbinary.readouterr()
    assert shown == (b"web1        a\ndb.example  \xff\nweb1        bc\nweb1        \nweb1        last\n")
    assert errors == b"web1        oh\n"


def test_a_line_without_an_end_does_not_grow_without_one(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Whatever a host sends, our memory is bounded."""
    output = run_output.Prefixed(["web1"])
    output("web1", 1, b"x" * 70_000)
    assert capfdbinary.readouterr().out == b"web1  " + b"x" * 70_000 + b"\n"


def test_output_of_one_host_is_passed_on_as_it_is(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """`release run production -- pg_dump > file`."""
    output = run_output.Through(terminal=False)
    output("web1", 1, b"\x00\xff\x1b[2J")
    output("web1", 2, b"e")
    output.finish()
    assert capfdbinary.readouterr() == (b"\x00\xff\x1b[2J", b"e")


def test_json_has_the_beginning_of_each_stream() -> None:
    """A script wants the output beside the status; gigabytes of it would not fit."""
    output = run_output.Collected(4)
    output("web1", 1, b"abc")
    output("web1", 1, b"def")
    output("web1", 2, b"\xff")
    hosts = tuple(schedule.HostState(name, last={"event": "result"}) for name in ("web1", "web2"))
    one, other = output.added(Outcome(hosts, None)).hosts
    assert one.last == {"event": "result", "stdout": "abcd", "stderr": "\ufffd", "truncated": True}
    assert other.last == {"event": "result", "stdout": "", "stderr": "", "truncated": False}
