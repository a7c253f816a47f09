"""The promises of release.host.commands.plan."""

from dataclasses import replace
from pathlib import Path

from release.host.commands import plan
from release.host.disk import releases
from release.host.disk.file_cache import File
from release.host.request import Deploy, Options
from tests.support.release_folders import a_deploy, a_layout, add_release

HOW = Options(lock_wait=0, release_phase=True, retry_release=False, plan=True)


def wanted(**changes: object) -> Deploy:
    wheel = File("shop", "shop-3.0-py3-none-any.whl", "2" * 64)
    return replace(a_deploy(), version="3.0", files=[wheel], **changes)  # type: ignore[arg-type]


def test_everything_that_would_be_done_is_said_in_its_order(tmp_path: Path) -> None:
    """Of the configuration only names: values may be secrets."""
    layout = a_layout(tmp_path)
    for number in (1, 2):
        add_release(layout, number, TOKEN="old")
    releases.switch(layout, 2)
    told = plan.plan(layout, wanted(env={"TOKEN": "new", "COLOUR": "red"}, keep=1), HOW)
    assert told["plan"] == [
        "Fetch shop-3.0-py3-none-any.whl, and what it needs and is not here yet",
        "Install it as release 3 with uv",
        "Give it another configuration: COLOUR, TOKEN",
        "Run the command `release` of its Procfile, if there is one",
        "Start it beside release 2, and wait for a good answer to GET /healthz",
        "Switch to it, and let release 2 finish",
        "Remove release 1",
    ]
    assert (told["release"], told["unchanged"]) == (3, False)


def test_a_first_deploy_on_another_host_than_the_first_is_short(tmp_path: Path) -> None:
    """There is nothing beside it, nothing to remove, and the release phase ran elsewhere."""
    told = plan.plan(a_layout(tmp_path), wanted(), replace(HOW, release_phase=False))
    assert told["plan"] == [
        "Fetch shop-3.0-py3-none-any.whl, and what it needs and is not here yet",
        "Install it as release 1 with uv",
        "Start it, and wait for a good answer to GET /healthz",
        "Switch to it",
    ]


def test_a_plan_touches_nothing(tmp_path: Path) -> None:
    """Whoever asks first has changed nothing yet."""
    layout = a_layout(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    plan.plan(layout, wanted(), HOW)
    assert sorted(tmp_path.rglob("*")) == before
