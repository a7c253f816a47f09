"""The promises of release.variables.drift: hosts that differ are found and named."""

from typing import Any

from release.agents.controller import Outcome
from release.agents.schedule import HostState, Stage
from release.variables import drift


def outcome(**hosts: dict[str, str]) -> Outcome:
    """Hosts with these variables; `{}` is one without a release."""
    return Outcome(
        tuple(HostState(name, Stage.ENDED, last=answer(there)) for name, there in hosts.items()), None
    )


def answer(values: dict[str, str]) -> dict[str, Any]:
    rows = [{"name": name, "digest": value, "set": True} for name, value in values.items()]
    return {"event": "result", "release": 3 if values else None, "variables": rows}


def test_hosts_that_agree_do_not_differ() -> None:
    """A host that is new has nothing yet, and will take what the others have."""
    agreed = outcome(new={}, web1={"A": "1"}, web2={"A": "1"})
    assert drift.sentence(agreed) == ""
    assert drift.names(agreed) == {}
    assert [row["name"] for row in drift.rows(agreed)] == ["A"]


def test_hosts_that_differ_are_named_with_the_variables() -> None:
    """Their values are not."""
    found = outcome(web1={"A": "1", "B": "1"}, web2={"A": "2", "B": "1"}, web3={"A": "1", "B": "1", "C": "9"})
    assert drift.names(found) == {"web2": ["A"], "web3": ["C"]}
    assert drift.sentence(found) == "Hosts differ from web1: web2 in A; web3 in C."


def test_a_host_that_fails_hides_nothing_of_the_others() -> None:
    """It may be down."""
    down = HostState("web0", Stage.ENDED, last={"event": "error", "message": "it cannot be reached"})
    found = Outcome((down, *outcome(web1={"A": "1"}, web2={"A": "2"}).hosts), None)
    assert [row["name"] for row in drift.rows(found)] == ["A"]
    assert drift.names(found) == {"web2": ["A"]}


def test_without_anything_there_is_nothing_to_say() -> None:
    """Before the first deploy."""
    assert drift.rows(outcome(web1={}, web2={})) == []
    assert drift.sentence(outcome(web1={}, web2={})) == ""
