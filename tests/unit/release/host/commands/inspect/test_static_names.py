"""The promises of release.host.commands.inspect.static_names."""

from pathlib import Path
from typing import Any

import pytest

from release.host.commands.inspect import static_names
from release.host.control.session import StoppedError
from release.host.disk import journal, lock
from release.host.disk.layout import Layout
from release.host.request import StaticFiles
from tests.support.release_folders import (
    FakeController,
    FakeSupervisor,
    a_layout,
    a_request,
    a_session,
    add_release,
)


def names(layout: Layout, said: list[dict[str, Any]]) -> dict[str, object]:
    session = a_session(FakeController(["lock", "start"]), ["lock", "start"], said.append)
    return static_names.run(layout, a_request(StaticFiles, layout), FakeSupervisor(layout), session)


def test_names_of_all_releases_are_said_also_of_those_that_have_failed(tmp_path: Path) -> None:
    """What is here may run again, or is about to be removed: the bucket has to have it until then."""
    layout, said = a_layout(tmp_path), list[dict[str, Any]]()
    for number, outcome in ((1, journal.GOOD), (2, journal.FAILED), (3, None)):
        add_release(layout, number, outcome)
        (layout.static_of(number) / "css").mkdir(parents=True)
        (layout.static_of(number) / f"css/{number}.css").touch()
    assert names(layout, said)["releases"] == [1, 2, 3]
    assert said[-1] == {"event": "gate", "name": "start", "names": ["css/1.css", "css/2.css", "css/3.css"]}


@pytest.mark.parametrize("deployed", [True, False])
def test_the_lock_is_held_until_others_have_gone_by_the_names(tmp_path: Path, *, deployed: bool) -> None:
    """A deploy in between would count on objects that are about to go; also the first one."""
    layout = a_layout(tmp_path) if deployed else Layout("shop", tmp_path / "apps", tmp_path / "run")
    assert layout.folder.exists() == deployed

    def emit(event: dict[str, Any]) -> None:
        if event["name"] == "start":
            with pytest.raises(lock.BusyError), lock.held(layout, "deploy", "ann"):
                pass

    session = a_session(FakeController(["lock"]), ["lock", "start"], emit)
    with pytest.raises(StoppedError):
        static_names.run(layout, a_request(StaticFiles, layout), FakeSupervisor(layout), session)


def test_a_host_that_is_not_provisioned_needs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever deploys may make no folders there: so nothing can be deployed meanwhile."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "mkdir", refuse)
    layout, said = Layout("shop", tmp_path / "apps", tmp_path / "run"), list[dict[str, Any]]()
    assert names(layout, said) == {"app": "shop", "releases": []}
    assert said[-1]["names"] == []
