"""The promises of release.host.commands.inspect.facts."""

from dataclasses import replace

from release.host.commands.inspect import facts
from release.host.disk import journal

GOOD = journal.Entry(1, journal.GOOD, "0.1.0", "ann", "2026-11-26T09:00:00+00:00")


def test_the_last_outcome_counts_and_no_command_or_trial() -> None:
    """A deploy that went back is a failed one, whatever was done after it."""
    assert facts.last_deploy([]) == {}
    trial = replace(GOOD, release=2, state=journal.TRIAL, at="2026-11-26T09:10:00+00:00")
    failed = replace(trial, state=journal.FAILED, at="2026-11-26T09:11:00+00:00")
    command = replace(failed, state=journal.COMMAND, at="2026-11-26T09:20:00+00:00")
    assert facts.last_deploy([GOOD, trial])["last_deploy_good"] is True
    assert facts.last_deploy([GOOD, trial, failed, command]) == {
        "last_deploy_good": False,
        "last_deploy_timestamp_seconds": 1795684260,
    }
