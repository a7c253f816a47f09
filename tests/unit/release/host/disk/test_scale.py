"""The promises of release.host.disk.scale."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from packhorse.errors import PackhorseError
from release.host.disk import releases, scale
from release.host.disk.layout import Layout
from release.host.disk.scale import Scale
from tests.support.release_folders import a_layout, a_manifest, add_release

SETTLED = Scale({"web": 3, "worker": 2}, settled=True)


def deployed(folder: Path, *processes: str) -> Layout:
    layout = a_layout(folder)
    add_release(layout, 1)
    releases.write_manifest(layout, a_manifest(1, dict.fromkeys(processes, "run")), {})
    releases.switch(layout, 1)
    return layout


def test_a_first_deploy_starts_one_of_each_type() -> None:
    """As the Procfile says; and hosts that were deployed to before there were numbers go on."""
    assert [Scale().wanted(process) for process in ("web", "worker", "beat")] == [1, 1, 1]
    assert Scale({"web": 3}).wanted("worker") == 1
    assert not Scale().is_new("worker")


def test_a_type_that_comes_later_waits_for_its_number() -> None:
    """Two of a scheduler would do everything twice: that is for people to decide."""
    assert [SETTLED.wanted(process) for process in ("web", "worker", "beat")] == [3, 2, 0]
    assert replace(SETTLED, counts={}).wanted("web") == 1
    assert [process for process in ("web", "worker", "beat") if SETTLED.is_new(process)] == ["beat"]
    assert not SETTLED.with_counts({"beat": 0}).is_new("beat")


def test_a_type_that_is_stopped_keeps_its_number() -> None:
    """It has as many as before when it is started again."""
    stopped = SETTLED.with_stopped(["worker"], stopped=True)
    assert (stopped.wanted("worker"), stopped.wanted("web"), stopped.count("worker")) == (0, 3, 2)
    assert stopped.with_stopped(["worker", "web"], stopped=False) == SETTLED


def test_a_scale_is_read_back(tmp_path: Path) -> None:
    """Also by a host that another one's reaches as JSON."""
    layout = a_layout(tmp_path)
    assert scale.read(layout) == Scale()
    written = SETTLED.with_stopped(["worker"], stopped=True)
    scale.write(layout, written)
    assert scale.read(layout) == written
    assert Scale.of_json(json.loads(json.dumps(asdict(written)))) == written


def test_the_types_of_the_release_that_serves_are_settled_once(tmp_path: Path) -> None:
    """With what was said before; what came later stays new."""
    layout = deployed(tmp_path, "web", "worker", "release")
    scale.write(layout, Scale({"worker": 5}))
    scale.settle(layout, 1)
    assert scale.read(layout) == Scale({"worker": 5, "web": 1}, settled=True)
    releases.write_manifest(layout, a_manifest(1, {"web": "run", "beat": "run"}), {})
    scale.settle(layout, 1)
    assert scale.read(layout).is_new("beat")


def test_a_release_without_web_processes_serves_nobody(tmp_path: Path) -> None:
    """By its Procfile, or by its scale."""
    layout = deployed(tmp_path, "web")
    assert scale.serves(layout, 1)
    scale.write(layout, Scale({"web": 0}))
    assert not scale.serves(layout, 1)
    scale.write(layout, Scale(stopped=("web",)))
    assert not scale.serves(layout, 1)
    releases.write_manifest(layout, a_manifest(1, {"worker": "run"}), {})
    scale.write(layout, Scale())
    assert not scale.serves(layout, 1)


@pytest.mark.parametrize("process", ["release", "", "+web", "we.b", "wéb", "web\n", "../web", "w" * 32, 5])
def test_what_is_no_process_type_has_no_number(process: Any) -> None:  # noqa: ANN401  # of JSON
    """Names become those of files and of circus's watchers."""
    with pytest.raises(PackhorseError, match="no process type that can be scaled"):
        scale.check(process, 1)


@pytest.mark.parametrize("count", [-1, 101, 10**9, 1.5, True, "2", None])
def test_what_is_no_number_is_refused(count: Any) -> None:  # noqa: ANN401  # of JSON
    """A typing mistake must not start a thousand processes; a host's word is not trusted either."""
    with pytest.raises(PackhorseError, match="cannot have"):
        scale.check("web", count)


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"counts": 3, "stopped": [], "settled": True},
        {"counts": {"web": "3"}, "stopped": [], "settled": True},
        {"counts": {"+web": 3}, "stopped": [], "settled": True},
        {"counts": {}, "stopped": ["../web"], "settled": True},
        {"counts": {}, "stopped": None, "settled": True},
    ],
)
def test_what_another_host_makes_up_is_no_scale(table: dict[str, Any]) -> None:
    """One of several may be compromised."""
    with pytest.raises(PackhorseError, match=r"no scale|no process type|cannot have"):
        Scale.of_json(table)
