"""The promises of release.inspect.log_collector, towards agents that are played."""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Self

import pytest

from packhorse.errors import PackhorseError
from release.agents.connection import Event
from release.host.request import Logs
from release.inspect import log_collector
from release.inspect.log_collector import Line, Remark

LOST = PackhorseError("the connection was lost.", "Look there.")


def request(*, follow: bool = False, lines: int | None = 100, **fields: object) -> Logs:
    common = {"app": "shop", "root": "/srv/apps", "run": "/run", "supervised": True, "by": "ann", **fields}
    return Logs(target_name="production", follow=follow, lines=lines, **common)  # type: ignore[arg-type]


def here(*names: str, ahead: float = 0) -> Event:
    """The first event."""
    there = datetime.now(UTC) + timedelta(seconds=ahead)
    return {"event": "logs", "names": list(names), "now": there.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}


def row(
    second: int, text: str, name: str = "web.1", pid: int | None = 7, *, goes_on: bool = False
) -> list[object]:
    return [f"2026-11-26T05:00:{second:02}.000000Z", name, pid, goes_on, text]


def lines(*rows: list[object], **fields: object) -> Event:
    return {"event": "lines", "lines": list(rows), **fields}


RESULT: Event = {"event": "result"}
CAUGHT_UP: Event = {"event": "caught up", "positions": {"web.1": [1, 2, 3]}}


@dataclass
class Agent:
    """One that sends `script` and then ends, or is lost where that has an error; it keeps its requests."""

    script: Sequence[Event | Exception]
    name: str = "web1"
    asked: list[Logs] = field(default_factory=list)
    ready = True

    @property
    def destination(self) -> Self:
        return self

    def events(self, asked: Logs) -> Iterator[Event]:
        self.asked.append(asked)
        for event in self.script:
            if isinstance(event, Exception):
                raise event
            yield event
        if self.script[-1] is not RESULT:
            time.sleep(60)

    def pulse(self) -> None: ...

    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


class Screen:
    """What was shown; with `enough` lines there, the user presses Ctrl-C."""

    def __init__(self, enough: int = 10_000) -> None:
        self.enough = enough
        self.lines: list[Line] = []
        self.notes: list[Remark] = []

    def show(self, lines: Sequence[Line]) -> None:
        self.lines += lines
        if len(self.lines) >= self.enough:
            raise KeyboardInterrupt

    def tell(self, note: Remark) -> None:
        self.notes.append(note)

    def collect(self, asked: Logs, *agents: Agent) -> list[str]:
        found = {agent.name: agent for agent in agents}
        log_collector.collect(found, asked, self.show, self.tell, named=True)  # type: ignore[arg-type]
        return [line.text for line in self.lines]


def test_lines_of_all_hosts_are_in_order_of_time() -> None:
    """And the last ones are those of all together."""
    one = Agent([here("web.1"), lines(row(1, "a"), row(4, "d")), lines(row(5, "e")), RESULT])
    two = Agent([here("web.1"), lines(row(2, "b"), row(3, "c"), row(9, "f")), RESULT], "web2")
    assert Screen().collect(request(), one, two) == list("abcdef")
    assert Screen().collect(request(lines=2), one, two) == list("ef")
    screen = Screen()
    screen.collect(request(), one, two)
    assert screen.lines[0] == Line("2026-11-26T05:00:01.000000Z", "web1", "web", 1, 7, "a")


def test_pieces_of_a_line_are_put_together() -> None:
    """Those of other processes may lie between them; what has no end is shown all the same."""
    agent = Agent(
        [
            here("web.1"),
            lines(row(1, "long ", goes_on=True), row(2, "other", pid=8), row(3, "line ", goes_on=True)),
            lines(row(4, "ends"), row(5, "no end", goes_on=True)),
            RESULT,
        ]
    )
    assert Screen().collect(request(), agent) == ["other", "long line ends", "no end"]


def test_a_clock_that_was_set_back_changes_no_order_and_no_time() -> None:
    """A line without a time stays where it is, too."""
    agent = Agent(
        [here("web.1"), lines(row(5, "a"), row(2, "b"), ["", "web.1", None, False, "c"], row(6, "d")), RESULT]
    )
    other = Agent([here("web.1"), lines(row(4, "before"), row(7, "after")), RESULT], "web2")
    screen = Screen()
    assert screen.collect(request(), agent, other) == ["before", "a", "b", "c", "d", "after"]
    assert [line.at[17:19] for line in screen.lines] == ["04", "05", "02", "", "06", "07"]


def test_only_so_many_lines_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """An application can write pieces of as many processes as it likes into its log."""
    monkeypatch.setattr(log_collector, "MOST_BEGUN", 2)
    pieces = [row(1, f"{pid} ", pid=pid, goes_on=True) for pid in range(1, 5)]
    ends = [row(2, "end", pid=pid) for pid in range(1, 5)]
    agent = Agent([here("web.1"), lines(*pieces, *ends), RESULT])
    assert Screen().collect(request(), agent) == ["1 ", "2 ", "end", "end", "3 end", "4 end"]


def test_a_line_that_never_ends_is_shown_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred gigabytes of it would not fit."""
    monkeypatch.setattr(log_collector, "LONGEST", 10)
    agent = Agent([here("web.1"), lines(*(row(1, "12345", goes_on=True) for _ in range(5))), RESULT])
    assert Screen().collect(request(), agent) == ["1234512345", "1234512345", "12345"]


def test_a_host_that_cannot_be_asked_is_the_error_after_the_lines_of_the_others() -> None:
    """Nothing is shown as complete that is not."""
    screen = Screen()
    down = Agent([PackhorseError("it cannot be reached: no route.", "Try it.")], "web2")
    with pytest.raises(PackhorseError, match=r"web2: it cannot be reached: no route\."):
        screen.collect(request(), Agent([here("web.1"), lines(row(1, "a")), RESULT]), down)
    assert [line.text for line in screen.lines] == ["a"]


def test_while_following_it_goes_on_without_a_host_until_that_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a word, from where it was; one that is lost again is told again."""
    monkeypatch.setattr(log_collector, "PAUSES", (0.0,))
    screen = Screen(enough=4)
    before = Agent(
        [
            here("web.1"),
            lines(row(1, "a")),
            CAUGHT_UP,
            lines(row(2, "b"), positions={"web.1": [1, 2, 9]}),
            LOST,
        ]
    )
    later = iter(
        [
            Agent([PackhorseError("it cannot be reached: no route.", "Try it.")]),
            Agent(
                [
                    here("web.1"),
                    {"event": "caught up", "positions": {"web.1": [1, 2, 9]}},
                    lines(row(3, "c")),
                    LOST,
                ]
            ),
            Agent([here("web.1"), lines(row(4, "d"))]),
        ]
    )
    connected: list[Agent] = []

    def connect(_destination: object) -> Agent:
        connected.append(next(later))
        return connected[-1]

    monkeypatch.setattr(log_collector, "AgentProcess", connect)
    with pytest.raises(KeyboardInterrupt):
        screen.collect(request(follow=True), before)
    assert [line.text for line in screen.lines] == list("abcd")
    assert connected[1].asked[0].resume == {"web.1": [1, 2, 9]}
    again = Remark("web1", "the connection was lost. Trying again …")
    back = Remark("web1", "connected again.")
    assert screen.notes[:3] == [again, back, again]


def test_following_begins_while_one_host_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are what somebody looks for then; with none at all it is an error."""
    monkeypatch.setattr(log_collector, "PAUSES", (60.0,))
    down = Agent([PackhorseError("it cannot be reached: no route.", "Try it.")], "web2")
    screen = Screen(enough=2)
    with pytest.raises(KeyboardInterrupt):
        screen.collect(
            request(follow=True),
            Agent([here("web.1"), lines(row(1, "a")), CAUGHT_UP, lines(row(2, "b"))]),
            down,
        )
    assert screen.notes == [Remark("web2", "it cannot be reached: no route. Trying again …")]
    with pytest.raises(PackhorseError, match="no route"):
        Screen().collect(request(follow=True), down)


def test_whoever_has_seen_enough_waits_for_no_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that would connect again ends, too."""
    monkeypatch.setattr(log_collector, "PAUSES", (60.0,))
    down = Agent([PackhorseError("it cannot be reached: no route.", "Try it.")])
    host = log_collector.HostLogs("web1", down, request(follow=True))  # type: ignore[arg-type]
    thread = threading.Thread(target=host.listen, daemon=True)
    thread.start()
    assert isinstance(host.events.get(timeout=60), PackhorseError)
    host.close()
    thread.join(60)
    assert not thread.is_alive()


def test_an_application_that_is_on_no_host_is_an_error() -> None:
    """It is the agent that says so: there is nothing to wait for."""
    error = {"event": "error", "message": "never deployed.", "hint": "Deploy.", "detail": "", "exit_code": 1}
    with pytest.raises(PackhorseError, match=r"web1: never deployed\."):
        Screen().collect(request(follow=True), Agent([error]))


def test_a_clock_that_differs_is_told() -> None:
    """The lines come all the same."""
    screen = Screen()
    screen.collect(request(), Agent([here("web.1", ahead=-3600), lines(row(1, "a")), RESULT]))
    assert [line.text for line in screen.lines] == ["a"]
    (note,) = screen.notes
    assert "its clock is 3600 s behind the one here" in note.text


def test_a_bug_while_listening_ends_the_command() -> None:
    """Nobody may wait for ever."""
    with pytest.raises(KeyError):
        Screen().collect(request(follow=True), Agent([KeyError("event")]))


def test_what_was_skipped_is_told() -> None:
    """By number where it is known."""
    screen = Screen()
    screen.collect(
        request(), Agent([here("web.1"), lines(skipped={"web.1": 5_000_000, "worker.1": None}), RESULT])
    )
    assert [note.text.partition(" were")[0] for note in screen.notes] == [
        "5000000 bytes of web.1",
        "some lines of worker.1",
    ]


@pytest.mark.parametrize(
    ("fields", "message", "hint"),
    [
        ({"processes": ["web", "wrker"]}, "No process wrker of shop", "release, web, worker"),
        ({"release": 9}, "no logs of release 9 of shop", "1, 2"),
    ],
)
def test_a_wrong_name_is_answered_with_those_that_there_are(
    fields: dict[str, object], message: str, hint: str
) -> None:
    """On all hosts together: one may have been down when that was deployed."""
    agents = [
        Agent([here("web.1", "worker.1"), RESULT]),
        Agent([here("web.2", "release.2", "forward"), RESULT], "web2"),
    ]
    with pytest.raises(PackhorseError, match=message) as error:
        Screen().collect(request(**fields), *agents)  # type: ignore[arg-type]
    assert hint in error.value.hint


@pytest.mark.parametrize("word", ["bug", "lost", "over", "no such event"])
def test_a_host_cannot_speak_for_its_connection(word: str) -> None:
    """What becomes of the connection is seen here; an event of that name is one that nobody knows."""
    agent = Agent([here("web.1"), {"event": word}, lines(row(1, "a")), RESULT])
    assert Screen().collect(request(), agent) == ["a"]


WRONG: list[Event] = [
    lines(row(1, "a", "web.1\n2026-11-26T05:00:00Z  web2  web.1")),
    lines(row(1, "a", "x" * 2**20)),
    lines(["2026-11-26T05:00:01.000000Z\nweb2", "web.1", 7, False, "a"]),
    lines(["x", "web.1", 7, False, "a"]),
    lines(["2026-11-26T05:00:01.000000Z", ["web.1"], 7, False, "a"]),
    lines(["2026-11-26T05:00:01.000000Z", "web.1", "7\n", False, "a"]),
    lines(["2026-11-26T05:00:01.000000Z"]),
    lines(row(1, "a", goes_on=True), ["2026-11-26T05:00:01.000000Z", "web.1", 7, False, 5]),
    lines(skipped={"x\nweb2 a": 5}),
    lines(skipped={"web.1": "5\nweb2"}),
    lines(skipped=[5]),
    {"event": "logs", "names": [], "now": "yesterday"},
    {"event": "logs", "names": [["web.1"]], "now": "2026-11-26T05:00:01Z"},
]


@pytest.mark.parametrize("wrong", WRONG, ids=range(len(WRONG)))
def test_what_no_agent_sends_is_an_error_of_its_host_after_the_lines_of_the_others(wrong: Event) -> None:
    """A compromised host may neither end the command nor write lines that look like those of another."""
    screen = Screen()
    liar = Agent([here("web.1"), wrong, RESULT])
    other = Agent([here("web.1"), lines(row(1, "b"), row(2, "c")), RESULT], "web2")
    with pytest.raises(PackhorseError, match="web1: it answered what no agent of ours does"):
        screen.collect(request(), liar, other)
    assert [line.text for line in screen.lines if line.host == "web2"] == ["b", "c"]
    assert not any("\n" in "".join(map(str, line)) for line in screen.lines)


def test_while_following_nothing_more_is_taken_from_a_host_that_lies() -> None:
    """It is told once; when the others end, too, that is the error of the command."""
    screen = Screen()
    liar = Agent([here("web.1"), CAUGHT_UP, lines(["x", "web.1", 7, False, "a"]), lines(row(9, "later"))])
    other = Agent([here("web.1"), CAUGHT_UP, lines(row(1, "b")), RESULT], "web2")
    with pytest.raises(PackhorseError, match="web1: it answered what no agent of ours does"):
        screen.collect(request(follow=True), liar, other)
    assert [line.text for line in screen.lines] == ["b"]
    assert [note.host for note in screen.notes] == ["web1"]


def test_what_is_told_of_a_host_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one could look as if it were of another host."""
    monkeypatch.setattr(log_collector, "PAUSES", (60.0,))
    down = Agent([PackhorseError("no route.\nweb2: all is well", "Try it.")])
    screen = Screen()
    with pytest.raises(PackhorseError):
        screen.collect(request(follow=True), down)
    assert screen.notes == [Remark("web1", "no route. web2: all is well Trying again …")]
