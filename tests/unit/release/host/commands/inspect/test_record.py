"""The promises of release.host.commands.inspect.record, and of the commands that leave a trace."""

from pathlib import Path

from release.host.commands.inspect import record
from release.host.commands.processes import stop
from release.host.disk import journal, releases
from release.host.request import Journal, Stop
from tests.support.release_folders import FakeSupervisor, a_layout, a_request, a_session, add_release


def test_the_newest_entries_are_sent_oldest_first(tmp_path: Path) -> None:
    """Years of releases are not what somebody wants to see who asks what happened."""
    layout = a_layout(tmp_path)
    for number in range(1, 6):
        add_release(layout, number)
    found = record.run(layout, a_request(Journal, layout, lines=2), FakeSupervisor(layout), a_session())
    entries = found["entries"]
    assert isinstance(entries, list)
    assert [entry["release"] for entry in entries] == [4, 5]


def test_an_application_that_was_never_deployed_has_no_journal(tmp_path: Path) -> None:
    """Nothing was done: that is an answer, and no error."""
    layout = a_layout(tmp_path)
    found = record.run(layout, a_request(Journal, layout, lines=20), FakeSupervisor(layout), a_session())
    assert found == {"app": "shop", "entries": []}


def test_a_stop_leaves_a_trace(tmp_path: Path) -> None:
    """Who looks for the cause of an outage finds it."""
    layout = a_layout(tmp_path)
    add_release(layout, 1)
    releases.switch(layout, 1)
    stop.run(layout, a_request(Stop, layout), FakeSupervisor(layout), a_session())
    last = journal.read(layout.journal)[-1]
    assert (last.state, last.reason, last.by, last.release) == ("command", "stop", "ann@example", 1)
