"""The promises of release.host.commands.releases.configuration: only who asks for values sees them."""

from dataclasses import replace
from pathlib import Path

import pytest

from release.host.commands.releases import configuration
from release.host.control.session import StoppedError
from release.host.disk import journal, releases
from release.host.disk.manifest import ReleaseSpec
from release.host.request import Configuration
from tests.support.release_folders import (
    FakeController,
    FakeSupervisor,
    a_content,
    a_layout,
    a_manifest,
    a_request,
    a_session,
    a_spec,
    add_release,
)

SECRET = "hunter2-hunter2"


def rows(
    folder: Path, *, reveal: bool = False, key: str = "key", **more: object
) -> dict[str, dict[str, object]]:
    layout = a_layout(folder)
    request = a_request(Configuration, layout, key=key, reveal=reveal, **more)
    result = configuration.run(layout, request, FakeSupervisor(layout), a_session())
    variables = result["variables"]
    assert isinstance(variables, list)
    return {row["name"]: row for row in variables}


def kept(**values: str) -> ReleaseSpec:
    """What was set before the first deploy."""
    content = replace(a_content(), config=values)
    return replace(a_spec(), content=content, reason=f"Set {', '.join(values)}")


def test_values_stay_on_the_host_unless_they_are_asked_for(tmp_path: Path) -> None:
    """Others compare by digests, which tell nothing about them."""
    layout = a_layout(tmp_path)
    add_release(layout, 1)
    releases.write_manifest(layout, a_manifest(1), {"A": "plain", "TOKEN": "plain"}, {"TOKEN": SECRET})
    releases.switch(layout, 1)
    found = rows(tmp_path)
    assert {name: row["set"] for name, row in found.items()} == {"A": False, "TOKEN": True}
    assert "value" not in found["TOKEN"]
    assert SECRET not in str(found)
    assert found["TOKEN"]["digest"] != rows(tmp_path, key="other")["TOKEN"]["digest"]
    assert rows(tmp_path, reveal=True)["TOKEN"]["value"] == SECRET
    assert list(rows(tmp_path, reveal=True, names=["A", "nothing"])) == ["A"]


def test_values_of_a_release_on_trial_are_not_shown(tmp_path: Path) -> None:
    """Its deploy was killed, or may go back: an editor would show values that the next command takes back."""
    layout = a_layout(tmp_path)
    for number, outcome in enumerate((journal.GOOD, journal.TRIAL), 1):
        add_release(layout, number, outcome)
        releases.write_manifest(layout, a_manifest(number), {}, {"COLOUR": str(number)})
        releases.switch(layout, number)
    assert rows(tmp_path, reveal=True)["COLOUR"]["value"] == "1"
    journal.append(layout.journal, journal.Entry(2, journal.GOOD, "2.0", "ann@example", journal.now()))
    assert rows(tmp_path, reveal=True)["COLOUR"]["value"] == "2"


def test_what_is_set_before_the_first_deploy_is_for_who_deploys_alone(tmp_path: Path) -> None:
    """Nobody else has to read it: the first release has its own file, for its processes."""
    layout = a_layout(tmp_path)
    assert rows(tmp_path) == {}
    events: list[dict[str, object]] = []
    for unchanged in (False, True):
        told = configuration.keep(layout, kept(TOKEN=SECRET), a_session(emit=events.append))
        assert (told["unchanged"], told["release"]) == (unchanged, None)
    assert layout.config.stat().st_mode & 0o777 == 0o600
    assert rows(tmp_path, reveal=True)["TOKEN"]["value"] == SECRET
    entries = [(entry.by, entry.release, entry.reason) for entry in journal.read(layout.journal)]
    assert entries == [("ann@example", 0, "config for the first deploy: Set TOKEN")]
    assert SECRET not in str([events, told])


def test_before_the_first_deploy_nothing_is_kept_unless_all_hosts_can(tmp_path: Path) -> None:
    """Another host was lost after the agreement: the hosts would differ, and refuse the first deploy."""
    layout = a_layout(tmp_path)
    with pytest.raises(StoppedError):
        configuration.keep(layout, kept(A="1"), a_session(FakeController(), ["agreement", "verdict"]))
    assert not layout.config.exists()
    configuration.keep(layout, kept(A="1"), a_session(FakeController(["verdict"]), ["agreement", "verdict"]))
    assert releases.read_values(layout.config) == {"A": "1"}


def test_an_application_without_a_folder_has_no_configuration(tmp_path: Path) -> None:
    """`release config list` is the first command that some people try."""
    layout = a_layout(tmp_path / "here")
    request = a_request(Configuration, layout, key="key", reveal=False, root=str(tmp_path / "nowhere"))
    assert configuration.run(request.layout, request, FakeSupervisor(layout), a_session())["variables"] == []


@pytest.mark.parametrize("value", ["", "é\udcff\n'\"$"])
def test_values_are_compared_byte_for_byte(value: str) -> None:
    """No value is another's prefix."""
    assert configuration.value_digests("k", {"A": value}) != configuration.value_digests(
        "k", {"A": f"{value}x"}
    )
