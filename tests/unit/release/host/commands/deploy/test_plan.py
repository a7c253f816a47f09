"""The promises of release.host.commands.deploy.plan."""

from dataclasses import replace
from pathlib import Path

from release.host.commands.deploy import plan
from release.host.disk import releases
from release.host.disk.layout import Layout
from release.host.disk.manifest import Content, File
from release.host.request import Deploy
from tests.support.release_folders import (
    FakeSupervisor,
    a_content,
    a_deploy,
    a_layout,
    a_rollback,
    a_session,
    add_release,
)


def content(**env: str) -> Content:
    wheel = File("shop", "shop-3.0-py3-none-any.whl", "2" * 64)
    return replace(a_content(**env), version="3.0", files=[wheel])


def planned(layout: Layout, deploy: Deploy) -> object:
    return plan.plan(layout, deploy, FakeSupervisor(layout), a_session())["plan"]


def test_everything_that_would_be_done_is_said_in_its_order(tmp_path: Path) -> None:
    """Of the configuration only names: values may be secrets."""
    layout = a_layout(tmp_path)
    for number in (1, 2):
        add_release(layout, number, TOKEN="old")
    releases.switch(layout, 2)
    change = replace(a_deploy(layout, content(TOKEN="new", COLOUR="red")), keep=1)
    told = plan.plan(layout, change, FakeSupervisor(layout), a_session())
    assert told["plan"] == [
        "Fetch shop-3.0-py3-none-any.whl, and what it needs and is not here yet",
        "Install it as release 3 with uv",
        "Give it another configuration: COLOUR, TOKEN",
        "Run the command `release` of its Procfile, if there is one (here only: the first host)",
        "Start it beside release 2, and wait for a good answer to GET /healthz",
        "Switch to it, and let release 2 finish",
        "Remove release 1",
    ]
    assert (told["release"], told["unchanged"]) == (3, False)


def test_a_first_deploy_on_another_host_than_the_first_is_short(tmp_path: Path) -> None:
    """There is nothing beside it, nothing to remove, and the release phase ran elsewhere."""
    layout = a_layout(tmp_path)
    assert planned(layout, replace(a_deploy(layout, content()), release_phase=False)) == [
        "Fetch shop-3.0-py3-none-any.whl, and what it needs and is not here yet",
        "Install it as release 1 with uv",
        "Start it, and wait for a good answer to GET /healthz",
        "Switch to it",
    ]


def test_a_rollback_says_what_it_goes_back_to(tmp_path: Path) -> None:
    """The version, and which variables get other values: a number alone says neither."""
    layout = a_layout(tmp_path)
    add_release(layout, 1, COLOUR="s3cret")
    add_release(layout, 2, COLOUR="blue")
    for number in (1, 2):
        manifest = replace(releases.read_manifest(layout, number), filename="shop-1.0-py3-none-any.whl")
        releases.write_manifest(layout, manifest, releases.read_env(layout, number))
    releases.switch(layout, 2)
    lines = plan.plan(layout, a_rollback(layout, None), FakeSupervisor(layout), a_session())["plan"]
    assert isinstance(lines, list)
    assert lines[0] == "Go back to release 1: shop 1.0, as configured then"
    assert "Give it another configuration: COLOUR" in lines
    assert "s3cret" not in "".join(lines)


def test_a_plan_touches_nothing(tmp_path: Path) -> None:
    """Whoever asks first has changed nothing yet."""
    layout = a_layout(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    planned(layout, a_deploy(layout, content()))
    assert sorted(tmp_path.rglob("*")) == before
