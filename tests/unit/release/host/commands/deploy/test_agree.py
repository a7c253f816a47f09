"""The promises of release.host.commands.deploy.agree."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from packhorse.errors import PackhorseError
from release.host.commands.deploy import agree
from release.host.control.agreement import Assignment, Rank
from release.host.control.session import Session
from release.host.disk import releases
from release.host.disk.layout import Layout
from release.host.disk.manifest import NO_CODE, File, ReleaseSpec
from release.host.request import AnyChange
from tests.support.release_folders import (
    FakeController,
    FakeSupervisor,
    a_configure,
    a_content,
    a_deploy,
    a_layout,
    a_manifest,
    a_rollback,
    a_session,
    add_release,
)

SECRET = "hunter2-hunter2"


class Answering(FakeController):
    """A controller that opens every gate with `order`."""

    def __init__(self, **order: object) -> None:
        super().__init__()
        self.given = {"go": "agreement", **order}

    def order(self, gate: str) -> dict[str, Any]:
        assert gate == "agreement"
        return self.given


def agreed(
    layout: Layout, change: AnyChange, controller: FakeController
) -> tuple[ReleaseSpec, Assignment, list[dict[str, Any]]]:
    events: list[dict[str, Any]] = []
    session = Session(events.append, controller, ["agreement"])
    spec, assigned = agree.agree(layout, change, FakeSupervisor(layout), session)
    return spec, assigned, events


def test_without_other_hosts_a_host_agrees_with_itself(tmp_path: Path) -> None:
    """The next number, and what was asked for."""
    layout = a_layout(tmp_path)
    add_release(layout, 3)
    spec, assigned = agree.agree(
        layout, a_deploy(layout, a_content(A="1")), FakeSupervisor(layout), a_session()
    )
    assert (spec.number, spec.content, spec.origin, assigned.unchanged) == (
        *(4, a_content(A="1")),
        *(None, False),
    )


def test_an_offer_reveals_no_secret(tmp_path: Path) -> None:
    """Events may be logged; a plain hash of a password is found by trying passwords."""
    layout = a_layout(tmp_path)
    add_release(layout, 1, TOKEN=SECRET)
    add_release(layout, 2, TOKEN="new")
    releases.switch(layout, 2)
    offers = []
    for key in ("first", "second"):
        change = replace(a_rollback(layout, 1), key=key)
        _, _, (gate,) = agreed(layout, change, Answering(assignment={"number": 3}))
        assert SECRET not in str(gate)
        offers.append(gate["offer"])
    assert (offers[0]["next"], offers[0]["candidate"]["release"]) == (3, 1)
    assert offers[0]["candidate"]["digest"] != offers[1]["candidate"]["digest"]


def test_a_host_takes_the_number_and_the_content_of_the_target(tmp_path: Path) -> None:
    """It has no release 7."""
    layout = a_layout(tmp_path)
    add_release(layout, 1, COLOUR="red")
    releases.switch(layout, 1)
    content = a_content(COLOUR="blue")
    given = {"number": 9, "origin": 7, "content": asdict(content)}
    spec, assigned, _ = agreed(layout, a_rollback(layout, 7), Answering(assignment=given))
    assert (spec.number, spec.origin, spec.content, assigned.unchanged) == (9, 7, content, False)


def test_a_host_that_has_its_own_content_takes_none_of_others(tmp_path: Path) -> None:
    """A host that was taken over claimed more than the others have: its configuration would have counted."""
    layout = a_layout(tmp_path)
    add_release(layout, 1)
    add_release(layout, 2)
    releases.switch(layout, 2)
    given = {"number": 9, "content": asdict(replace(a_content(), config={"TOKEN": "evil"}))}
    for change in (a_deploy(layout), a_rollback(layout, 1)):
        with pytest.raises(PackhorseError, match="was sent to this one, which has its own"):
            agreed(layout, change, Answering(assignment=given))


def test_a_deploy_takes_nothing_from_other_hosts(tmp_path: Path) -> None:
    """But what `release config` has set there, for a host that has nothing yet."""
    layout = a_layout(tmp_path)
    evil = replace(a_content(COLOUR="evil"), version="9", config={"TOKEN": SECRET})
    given = {"number": 9, "content": asdict(evil)}
    spec, _, _ = agreed(layout, a_deploy(layout, a_content(COLOUR="blue")), Answering(assignment=given))
    assert spec.content == replace(a_content(COLOUR="blue"), config={"TOKEN": SECRET})


def test_no_host_decides_what_code_runs_on_another(tmp_path: Path) -> None:
    """By a variable that the loader or Python obeys."""
    layout = a_layout(tmp_path)
    given = {"number": 9, "content": asdict(replace(a_content(), config={"LD_PRELOAD": "/srv/uploads/x.so"}))}
    with pytest.raises(PackhorseError, match="LD_PRELOAD cannot be set"):
        agreed(layout, a_deploy(layout), Answering(assignment=given))


def test_code_comes_from_the_index_whatever_another_host_says(tmp_path: Path) -> None:
    """The promise of `release rollback`: hosts share configuration, never code."""
    layout = a_layout(tmp_path)
    file = File("shop", "shop-1.0-py3-none-any.whl", "a" * 64, "http://evil.example.com/shop.whl")
    given = {"number": 9, "origin": 7, "content": asdict(replace(a_content(), files=[file]))}
    spec, _, _ = agreed(layout, a_rollback(layout, 1), Answering(assignment=given))
    assert spec.content.files == [replace(file, url=None)]


@pytest.mark.parametrize(
    ("filename", "sha256"), [("../../shop-1.0.tar.gz", "a" * 64), ("", "a" * 64), ("a.tar.gz", "../..")]
)
def test_a_file_of_another_host_has_a_place_in_the_cache(tmp_path: Path, filename: str, sha256: str) -> None:
    """Its name and its hash become a path."""
    layout = a_layout(tmp_path)
    file = {"project": "shop", "filename": filename, "sha256": sha256}
    given = {"number": 9, "origin": 7, "content": {**asdict(a_content()), "files": [file]}}
    with pytest.raises(PackhorseError, match="This is no file of a package"):
        agreed(layout, a_rollback(layout, 1), Answering(assignment=given))


def test_a_host_sends_its_content_when_it_is_told_to(tmp_path: Path) -> None:
    """For a host that has no such release."""
    layout = a_layout(tmp_path)
    add_release(layout, 1, COLOUR="red")
    releases.switch(layout, 1)
    given = {"number": 9, "origin": 1, "send": True}
    spec, _, events = agreed(layout, a_rollback(layout, 1), Answering(assignment=given))
    assert spec.content.env == {"COLOUR": "red"}
    assert events[1:] == [{"event": "content", "content": asdict(spec.content)}]


@pytest.mark.parametrize(
    ("release", "message"), [(7, "has no good release 7 to go back to"), (None, "no good release before")]
)
def test_a_host_without_anything_to_go_back_to_says_so_when_no_other_has_it(
    tmp_path: Path, release: int | None, message: str
) -> None:
    """As on a single host."""
    layout = a_layout(tmp_path)
    add_release(layout, 1)
    releases.switch(layout, 1)
    for controller in (Answering(), None):
        session = Session(lambda _: None, controller, ["agreement"]) if controller else a_session()
        with pytest.raises(PackhorseError, match=message):
            agree.agree(layout, a_rollback(layout, release), FakeSupervisor(layout), session)


def test_a_deploy_takes_over_what_was_set(tmp_path: Path) -> None:
    """In the current release, or before the first one; it wins over what release.toml says."""
    layout = a_layout(tmp_path)
    layout.config.write_text(json.dumps({"TOKEN": "early"}))
    spec, _ = agree.agree(
        layout, a_deploy(layout, a_content(TOKEN="plain")), FakeSupervisor(layout), a_session()
    )
    assert spec.content.environment == {"TOKEN": "early"}
    add_release(layout, 1)
    releases.write_manifest(layout, a_manifest(1), {"A": "1"}, {"TOKEN": SECRET})
    releases.switch(layout, 1)
    spec, _ = agree.agree(layout, a_deploy(layout, a_content(A="2")), FakeSupervisor(layout), a_session())
    assert spec.content.environment == {"A": "2", "TOKEN": SECRET}


def test_a_rollback_keeps_the_login_that_is_open_now(tmp_path: Path) -> None:
    """`release services rotate` has closed the one that the earlier release had."""
    layout = a_layout(tmp_path)
    for number, login in ((1, "a:old"), (2, "b:new")):
        add_release(layout, number)
        url = f"postgresql://{layout.app}_production_db__{login}@10.0.0.5:5432/{layout.app}_production_db"
        releases.write_manifest(layout, a_manifest(number), {}, {"DATABASE_URL": url, "X": str(number)})
    releases.switch(layout, 2)
    spec, _ = agree.agree(layout, a_rollback(layout, 1), FakeSupervisor(layout), a_session())
    assert "__b:new@" in spec.content.config["DATABASE_URL"]
    assert spec.content.config["X"] == "1"


def test_a_change_of_the_configuration_changes_nothing_else(tmp_path: Path) -> None:
    """A variable that is unset has the value of release.toml again; the journal says which ones."""
    layout = a_layout(tmp_path)
    add_release(layout, 1)
    releases.write_manifest(layout, a_manifest(1), {"A": "plain"}, {"A": "1", "B": "1"})
    releases.switch(layout, 1)
    before = releases.content(layout, 1)
    change = a_configure(layout, values={"C": SECRET}, unset=["A"])
    spec, assigned = agree.agree(layout, change, FakeSupervisor(layout), a_session())
    assert spec.content == replace(before, config={"B": "1", "C": SECRET})
    assert spec.content.environment == {"A": "plain", "B": "1", "C": SECRET}
    assert (spec.number, spec.origin, spec.reason, assigned.unchanged) == (2, None, "Set C; unset A", False)
    assert SECRET not in repr(change)
    assert SECRET not in repr(spec)


def test_variables_that_were_given_in_vain_are_named(tmp_path: Path) -> None:
    """Once, when they change: who edits release.toml would look for the reason elsewhere."""
    layout = a_layout(tmp_path)
    add_release(layout, 1)
    releases.write_manifest(layout, a_manifest(1), {"A": "1", "B": "1"}, {"A": SECRET, "C": SECRET})
    releases.switch(layout, 1)
    warned = "release config has set A, which wins over what this deploy brings."
    for content, expected in ((a_content(A="2", B="2"), [warned]), (a_content(A="1", B="2"), [])):
        *events, _ = agreed(layout, a_deploy(layout, content), Answering(assignment={"number": 2}))[2]
        assert [event["text"] for event in events] == expected
    change = a_configure(layout, unset=["C", "TYPO"])
    *events, _ = agreed(layout, change, Answering(assignment={"number": 2}))[2]
    assert [event["text"] for event in events] == ["Not set by release config, so not unset: TYPO."]


@pytest.mark.parametrize("change", ["deploy", "unset"])
def test_nothing_is_made_without_a_variable_that_is_required(tmp_path: Path, change: str) -> None:
    """An application that starts without its key fails later, and worse."""
    layout = a_layout(tmp_path)
    content = replace(a_content(A="1"), required=["A", "TOKEN"])
    if change == "unset":
        add_release(layout, 1)
        releases.write_manifest(
            layout, replace(a_manifest(1), required=["TOKEN"]), {}, {"TOKEN": SECRET, "B": ""}
        )
        releases.switch(layout, 1)
        agree.agree(layout, a_configure(layout, unset=["B"]), FakeSupervisor(layout), a_session())
    asked = a_deploy(layout, content) if change == "deploy" else a_configure(layout, unset=["TOKEN"])
    with pytest.raises(PackhorseError, match=r"requires TOKEN, which would not be set") as refused:
        agree.agree(layout, asked, FakeSupervisor(layout), a_session())
    assert "release config set production TOKEN" in refused.value.hint


URL = "postgresql+psycopg://shop_production_db__b:p@10.0.0.4:5432/shop_production_db"


@pytest.mark.parametrize(
    ("variables", "required", "hint", "warned"),
    [
        ({}, ["DATABASE_URL"], "release services attach db production", False),
        ({}, ["KEY", "DATABASE_URL"], "release config set production KEY", False),
        ({}, [], "", True),
        ({"DB": URL}, [], "", False),
        ({"DB": URL}, ["DATABASE_URL"], "release config set production DATABASE_URL", False),
        ({"DB": URL.replace("_db", "_dbs")}, [], "", True),
    ],
)
def test_a_database_that_was_not_attached_is_named_with_the_command(
    tmp_path: Path, variables: dict[str, str], required: list[str], hint: str, *, warned: bool
) -> None:
    """Nobody should look for a password that `release services attach` brings; else the application fails."""
    layout = a_layout(tmp_path)
    content = replace(a_content(**variables), required=required)
    deploy = replace(a_deploy(layout, content), services={"db": "DATABASE_URL"})
    if hint:
        with pytest.raises(PackhorseError) as refused:
            agree.agree(layout, deploy, FakeSupervisor(layout), a_session())
        assert refused.value.hint.endswith(hint)
        return
    events = agreed(layout, deploy, Answering(assignment={"number": 1}))[2]
    told = [event["text"] for event in events if event["event"] == "warning"]
    assert ["release services attach db production" in text for text in told] == [True] * warned


@pytest.mark.parametrize(
    ("variables", "required", "hint", "warned"),
    [
        ({"DB": URL}, [], "", ["archive"]),
        ({}, [], "", ["db", "archive"]),
        ({"DB": URL}, ["DATABASE_URL"], "release config set production DATABASE_URL", []),
    ],
)
def test_of_two_databases_each_is_named_that_was_not_attached(
    tmp_path: Path, variables: dict[str, str], required: list[str], hint: str, warned: list[str]
) -> None:
    """Both have the same variable usually: which one is to be in it is the user's to say."""
    layout = a_layout(tmp_path)
    content = replace(a_content(**variables), required=required)
    deploy = replace(a_deploy(layout, content), services=dict.fromkeys(["db", "archive"], "DATABASE_URL"))
    if hint:
        with pytest.raises(PackhorseError) as refused:
            agree.agree(layout, deploy, FakeSupervisor(layout), a_session())
        assert refused.value.hint.endswith(hint)
        return
    events = agreed(layout, deploy, Answering(assignment={"number": 1}))[2]
    (told,) = [event["text"] for event in events if event["event"] == "warning"]
    assert [f"attach {name} production" in told for name in ("db", "archive")] == [
        name in warned for name in ("db", "archive")
    ]


@pytest.mark.parametrize("change", ["deploy", "set"])
def test_what_is_set_and_what_a_deploy_brings_fit_into_one_environment(tmp_path: Path, change: str) -> None:
    """Each alone does: no process would start with both, and whoever waits for it learns nothing."""
    layout = a_layout(tmp_path)
    add_release(layout, 1)
    half, other = ({f"{name}{n}": "x" * 100_000 for n in range(6)} for name in "AB")
    releases.write_manifest(layout, a_manifest(1), half, other if change == "deploy" else {})
    releases.switch(layout, 1)
    content = a_content(**half)
    asked = a_deploy(layout, content) if change == "deploy" else a_configure(layout, values=other)
    with pytest.raises(PackhorseError, match="The configuration has 1171 kB"):
        agree.agree(layout, asked, FakeSupervisor(layout), a_session())


def test_hosts_say_what_they_have_by_digests_and_ranks(tmp_path: Path) -> None:
    """Who has nothing takes what the others have; who has something may not be overruled in silence."""
    layout = a_layout(tmp_path)
    offers = []
    for step in ("nothing", "early", "release"):
        if step == "early":
            layout.config.write_text(json.dumps({"TOKEN": SECRET}))
        if step == "release":
            add_release(layout, 1)
            releases.switch(layout, 1)
        for change in (a_deploy(layout), a_configure(layout, values={"A": "1"})):
            _, _, (gate,) = agreed(layout, change, Answering(assignment={"number": 2}))
            assert SECRET not in str(gate)
            offers.append((gate["offer"]["rank"], list(gate["offer"]["config"])))
    assert offers == [
        *[(Rank.NOTHING, [])] * 2,
        *[(Rank.CONFIG_ONLY, ["TOKEN"])] * 2,
        *[(Rank.CODE, [])] * 2,
    ]


def test_who_follows_offers_nothing_and_takes_it_all(tmp_path: Path) -> None:
    """The command `release config sync`: version and configuration of one host, for all."""
    layout = a_layout(tmp_path)
    add_release(layout, 1, A="other")
    releases.switch(layout, 1)
    source = replace(a_content(A="1"), files=[File("shop", "shop-9.whl", "a" * 64)], config={"B": SECRET})
    given = {"number": 9, "content": asdict(source)}
    spec, _, (gate,) = agreed(layout, a_configure(layout, follow=True), Answering(assignment=given))
    assert gate["offer"]["candidate"] is None
    assert spec.content == source


def test_a_host_with_a_release_takes_none_that_has_no_code(tmp_path: Path) -> None:
    """From a host that has never been deployed to."""
    layout = a_layout(tmp_path)
    add_release(layout, 1)
    releases.switch(layout, 1)
    given = {"number": 9, "content": asdict(NO_CODE)}
    with pytest.raises(PackhorseError, match="has no release to take over"):
        agreed(layout, a_configure(layout, follow=True), Answering(assignment=given))
