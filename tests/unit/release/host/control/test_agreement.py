"""The promises of release.host.control.agreement: all hosts make one release, with one number."""

import json
from dataclasses import asdict, replace

import pytest

from release.host.control.agreement import Candidate, Offer, Rank, counting, decide, differing


def deploying(next_number: int, current: int | None = None, running: str | None = None) -> Offer:
    """A host that is asked to deploy content "new"."""
    return Offer(next_number, Candidate("new"), current, running)


def going_back(next_number: int, release: int | None, content: str = "") -> Offer:
    """A host that would go back to `release`, which is `content` there."""
    candidate = Candidate(content or f"content {release}", release, release) if release else None
    return Offer(next_number, candidate, next_number - 1, f"content {next_number - 1}")


def test_a_host_that_lags_takes_the_number_of_the_target() -> None:
    """A deploy that failed has used up a number on the canary only."""
    decision = decide({"web1": deploying(9), "web2": deploying(8)})
    assert decision
    assert (decision.number, decision.unchanged, decision.lacking) == (9, frozenset(), frozenset())


@pytest.mark.parametrize(
    ("offers", "number", "unchanged"),
    [
        ([deploying(10, 9, "new"), deploying(1)], 9, {"web1"}),  # a host that is new
        ([deploying(12, 9, "new"), deploying(10, 9, "new")], 9, {"web1", "web2"}),
        ([deploying(10, 9, "new"), deploying(11)], 11, set()),  # its 9 and 10 were something else
        ([deploying(10, 9, "new"), deploying(9, 8, "new")], 10, set()),  # the same under two numbers
        ([deploying(10, 9, "old"), deploying(10, 9, "new")], 10, set()),
    ],
)
def test_who_runs_it_already_is_left_alone_if_all_have_one_number_then(
    offers: list[Offer], number: int, unchanged: set[str]
) -> None:
    """The same command again after a host was down must not restart the others; numbers stay together."""
    decision = decide({f"web{position}": offer for position, offer in enumerate(offers, 1)})
    assert decision
    assert (decision.number, decision.unchanged) == (number, unchanged)


def test_a_host_that_catches_up_joins_the_others() -> None:
    """The release phase has been run for all of them."""
    decision = decide({"web1": deploying(9, 8, "old"), "web2": deploying(10, 9, "new")})
    assert decision
    assert [decision.assignment(name).joins for name in ("web1", "web2")] == [True, False]
    alone = decide({"web1": deploying(9, 8, "old"), "web2": deploying(9, 8, "old")})
    assert alone
    assert not alone.assignment("web1").joins


def test_a_host_that_was_installed_anew_gets_what_the_others_go_back_to() -> None:
    """It has no release of its own."""
    decision = decide({"web1": going_back(2, None), "web2": going_back(13, 11), "web3": going_back(2, None)})
    assert decision
    assert (decision.source, decision.candidate.release, decision.number) == ("web2", 11, 13)
    assert decision.lacking == {"web1", "web3"}
    assert decision.assignment("web2").send
    assert decision.assignment("web2").content is None
    told = decision.assignment("web3", {"version": "1"})
    assert (told.number, told.origin, told.content, told.send) == (13, 11, {"version": "1"}, False)


def test_without_anything_to_go_back_to_there_is_no_decision() -> None:
    """Each host says why."""
    assert decide({"web1": going_back(2, None), "web2": going_back(1, None)}) is None


@pytest.mark.parametrize("number", [0, -1, 2**63, 1.5, "7", "../../x", True, [7]])
@pytest.mark.parametrize("where", ["next", "current", "release", "origin"])
def test_an_offer_with_a_number_that_is_none_is_refused(where: str, number: object) -> None:
    """All hosts would take it: it becomes the name of a folder, and the next one is higher."""
    table = asdict(Offer(3, Candidate("d", 2, 1), 2, "d"))
    assert Offer.of_json(table) == Offer(3, Candidate("d", 2, 1), 2, "d")
    part = table if where in table else table["candidate"]
    part[where] = number
    with pytest.raises(ValueError, match="the number"):
        Offer.of_json(table)


def test_candidates_of_the_highest_rank_count() -> None:
    """A host that joins has nothing set yet, and takes what the others have."""
    new, web = Offer(1, Candidate("nothing")), Offer(5, Candidate("set"), rank=Rank.CODE)
    decision = decide({"new": new, "web1": web, "web2": web})
    assert decision
    assert (decision.source, decision.number, decision.lacking) == ("web1", 5, {"new"})
    assert counting({"new": new, "web1": web}) == {"web1": Candidate("set")}
    early = decide({"web1": web, "early": Offer(1, Candidate("set"), rank=Rank.CONFIG_ONLY)})
    assert early
    assert early.lacking == set()
    first = decide({"new": new, "other": new})
    assert first
    assert (first.source, first.lacking) == ("new", frozenset())


def test_the_variables_that_two_hosts_have_set_otherwise_are_found() -> None:
    """By digests of their values."""
    one, other = (Offer(1, None, config=config) for config in ({"A": "1", "B": "1"}, {"A": "2", "C": "1"}))
    assert differing(one, other) == ["A", "B", "C"]
    assert differing(one, one) == []


@pytest.mark.parametrize("more", [{"config": [1]}, {"rank": 3}, {"rank": "2"}])
def test_an_offer_with_a_rank_or_a_configuration_that_is_none_is_refused(more: dict[str, object]) -> None:
    """A host that ranks above all others would give them its configuration."""
    with pytest.raises((TypeError, ValueError), match=r"the configuration|Rank"):
        Offer.of_json({**asdict(Offer(3, None)), **more})


def test_a_host_without_numbers_of_processes_gets_those_of_the_others() -> None:
    """It was installed anew: one web of three would be there. Who has some of its own keeps them."""
    scale = {"counts": {"web": 3}, "stopped": [], "settled": True}
    offers = {"web1": deploying(1), "web2": replace(deploying(9), scale=scale)}
    offers = {name: Offer.of_json(json.loads(json.dumps(asdict(offer)))) for name, offer in offers.items()}
    decision = decide(offers)
    assert decision
    assert decision.assignment("web1").scale == scale
    nobody = decide({"web1": deploying(1)})
    assert nobody
    assert nobody.assignment("web1").scale is None
    with pytest.raises(TypeError):
        Offer.of_json({**asdict(deploying(1)), "scale": [3]})
