"""The promises of release.agents.destinations."""

from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.agents import destinations
from release.agents.connection import LocalDestination
from release.agents.ssh import SshDestination
from release.config import release_toml, unchecked

EXAMPLE = Path(__file__).parents[4] / "release.example.toml"
HERE = LocalDestination("/h/agent", "production")


def test_hosts_are_asked_as_the_application_s_user() -> None:
    """Its name, unless the target has another; in the order in which they are written."""
    found = destinations.of_target(HERE, ["web2", "web1"], None, "shop")
    assert found == {
        "web2": SshDestination("web2", "shop", "shop"),
        "web1": SshDestination("web1", "shop", "shop"),
    }
    assert list(found) == ["web2", "web1"]
    other = destinations.of_target(HERE, ["web1"], "www", "shop")
    assert other == {"web1": SshDestination("web1", "www", "shop")}


def test_a_target_without_hosts_is_this_machine() -> None:
    """The same agent, kept for all applications."""
    assert destinations.of_target(HERE, None, None, "shop") == {"production": HERE}


def test_hosts_are_to_be_skipped_where_there_are_others() -> None:
    """A hint must not offer what leaves nothing."""
    pair = list(destinations.of_target(HERE, ["web1", "web2"], None, "shop").values())
    for some, expected in ((pair, [True, True]), (pair[:1], [False])):
        found = destinations.skippable(some)
        assert found == some, "they are found by comparing"
        assert ["--skip" in each.explain(255, "", greeted=False).hint for each in found] == expected
    assert destinations.skippable([HERE]) == [HERE]


@pytest.mark.parametrize("target", ["local", "production", "web3.example.com", "admin@[::1]"])
def test_where_agents_are_expected_they_are_needed(tmp_path: Path, target: str) -> None:
    """Else every command would start them twice."""
    (tmp_path / "release.toml").write_text(EXAMPLE.read_text())
    settings = release_toml.load(tmp_path)
    chosen = settings.target(target)
    here = LocalDestination.below(tmp_path, target)
    needed = destinations.of_target(here, chosen.hosts, chosen.user, settings.app, settings.targets)
    assert destinations.expected(unchecked.read(tmp_path).tables, target, tmp_path) == list(needed.values())


@pytest.mark.parametrize(
    "text",
    [
        'targets = "all"',
        'targets.production = "web1"',
        'targets.production.hosts = "web1"',
        "targets.production.hosts = [1]",
        'targets.production.hosts = ["-oProxyCommand=reboot"]',
        'targets.production = {hosts = ["web1"], user = "-x"}',
        'app = "../shop"\ntargets.production.hosts = ["web1"]',
        'targets.product.hosts = ["web1"]',
        "targets.preview = 1",
    ],
)
def test_nothing_is_started_for_what_cannot_be_right(tmp_path: Path, text: str) -> None:
    """release_toml.py says what is wrong; until then nobody is spoken to."""
    (tmp_path / "release.toml").write_text(text)
    assert destinations.expected(unchecked.read(tmp_path).tables, "production", tmp_path) == []
    with pytest.raises(PackhorseError):
        release_toml.load(tmp_path).target("production")


@pytest.mark.parametrize(
    ("limit", "skip", "expected"),
    [
        ([], [], ["a", "b", "c"]),
        (["c", "a"], [], ["a", "c"]),
        ([], ["a"], ["b", "c"]),
        (["a", "b"], ["b"], ["a"]),
    ],
)
def test_hosts_are_chosen_in_the_order_of_the_target(
    limit: list[str], skip: list[str], expected: list[str]
) -> None:
    """The first of them is the canary, and runs the release phase."""
    assert destinations.selected("production", ["a", "b", "c"], limit, skip) == expected


@pytest.mark.parametrize(
    ("limit", "skip", "message"),
    [(["d"], [], "no host d"), ([], ["d"], "no host d"), (["a"], ["a"], "is left")],
)
def test_a_host_that_the_target_has_not_is_an_error(limit: list[str], skip: list[str], message: str) -> None:
    """A misspelled --skip would reach the host that should be left alone."""
    with pytest.raises(PackhorseError, match=message):
        destinations.selected("production", ["a", "b", "c"], limit, skip)


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("web1", "web1 is left out by --limit or --skip; it has to take part."),
        ("web9", "production has no host web9."),
    ],
)
def test_a_host_that_has_to_take_part_is_missing_for_a_reason(host: str, message: str) -> None:
    """Who names it knows that the target has it: the options leave it out."""
    destinations.require_chosen("production", "web2", ["web2"], ["web1"])
    with pytest.raises(PackhorseError) as refused:
        destinations.require_chosen("production", host, ["web2"], ["web1"])
    assert refused.value.message == message
