"""The promises of release.host.commands.agree."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from packhorse.errors import PackhorseError
from release.host.commands import agree
from release.host.control.session import Session
from release.host.disk import releases
from release.host.disk.layout import Layout
from release.host.disk.manifest import File, ReleaseSpec
from release.host.request import Deploy, Rollback
from tests.support.release_folders import (
    FakeController,
    a_content,
    a_deploy,
    a_layout,
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
    layout: Layout, change: Deploy | Rollback, controller: FakeController
) -> tuple[ReleaseSpec, bool, list[dict[str, Any]]]:
    events: list[dict[str, Any]] = []
    session = Session(events.append, controller, ["agreement"])
    spec, unchanged = agree.agree(layout, change, session)
    return spec, unchanged, events


def test_without_other_hosts_a_host_agrees_with_itself(tmp_path: Path) -> None:
    """The next number, and what was asked for."""
    layout = a_layout(tmp_path)
    add_release(layout, 3)
    spec, unchanged = agree.agree(layout, a_deploy(layout, a_content(A="1")), a_session())
    assert (spec.number, spec.content, spec.origin, unchanged) == (4, a_content(A="1"), None, False)


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
    """Its own release 1 may be something else."""
    layout = a_layout(tmp_path)
    add_release(layout, 1, COLOUR="red")
    releases.switch(layout, 1)
    content = a_content(COLOUR="blue")
    given = {"number": 9, "origin": 7, "content": asdict(content)}
    spec, unchanged, _ = agreed(layout, a_rollback(layout, 1), Answering(assignment=given))
    assert (spec.number, spec.origin, spec.content, unchanged) == (9, 7, content, False)


def test_a_deploy_takes_nothing_from_other_hosts(tmp_path: Path) -> None:
    """A host that is broken into may say what it likes: what is deployed comes from the controller."""
    layout = a_layout(tmp_path)
    given = {"number": 9, "content": asdict(a_content(COLOUR="evil"))}
    spec, _, _ = agreed(layout, a_deploy(layout, a_content(COLOUR="blue")), Answering(assignment=given))
    assert spec.content == a_content(COLOUR="blue")


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
            agree.agree(layout, a_rollback(layout, release), session)
