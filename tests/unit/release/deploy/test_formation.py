"""The promises of release.deploy.formation."""

from typing import Any

from release.deploy import formation, schedule
from release.deploy.controller import Outcome


def host(name: str, **last: Any) -> schedule.HostState:  # noqa: ANN401  # JSON
    return schedule.HostState(name, schedule.Stage.ENDED, last={"event": "result", **last})


def test_hosts_that_differ_are_named_with_the_remedy() -> None:
    """One was down when somebody scaled."""
    down = schedule.HostState("c", schedule.Stage.ENDED, last={"event": "error", "message": "it is down"})
    outcome = Outcome(
        (host("a", scale={"web": 3, "worker": 1}), host("b", scale={"web": 1, "worker": 1, "beat": 0}), down),
        None,
    )
    assert formation.differing(outcome) == {"web": {"a": 3, "b": 1}}
    assert formation.remedy(outcome, "production") == (
        "Hosts have different numbers of processes: web 3 on a, 1 on b. "
        "Make them equal: release scale production web=3"
    )


def test_hosts_that_agree_need_no_word() -> None:
    """One that was never deployed to has nothing to compare."""
    outcome = Outcome((host("a", scale={"web": 3}), host("b", scale={"web": 3}), host("c", scale={})), None)
    assert formation.remedy(outcome, "production") == ""
