"""Whether devpi-web's page of a project is there before anybody asked for the project."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from devpi_server.markers import unknown
from devpi_server.mirror import MirrorStage
from devpi_server.view_auth import RootFactory
from pyramid.httpexceptions import HTTPNotFound
from pyramid.request import Request

from mirror.plugin.patches.indexes import has_project
from mirror.plugin.upstream.client import GatewayError


class Stage:
    """A mirror of which nothing is here; the upstream has `projects`."""

    UpstreamNotFoundError = MirrorStage.UpstreamNotFoundError
    projects = ("demo",)

    def __init__(self, found: Any = unknown, *, write: bool = False) -> None:  # noqa: ANN401 (devpi's marker)
        self.found = found
        self.keyfs = SimpleNamespace(tx=SimpleNamespace(write=write))
        self.asked: list[str] = []

    has_project = has_project._has_project

    def filter_projects(self, projects: list[str]) -> list[str]:
        return projects

    def op_sro(self, _name: str, *, project: str) -> Iterator[tuple[Any, Any]]:  # noqa: ARG002 (devpi's)
        yield self, self.found

    def op_sro_check_mirror_whitelist(self, name: str, *, project: str) -> Iterator[tuple[Any, Any]]:
        assert name == "refresh"
        self.asked.append(project)
        if project == "trouble":
            raise GatewayError(503, "nobody knows")
        if project not in self.projects:
            raise self.UpstreamNotFoundError("no %s", project)
        yield self, None


@pytest.mark.parametrize(("project", "exists"), [("demo", True), ("other", False)])
def test_an_unknown_project_is_asked_for(project: str, exists: bool) -> None:  # noqa: FBT001 (parametrised)
    """Its page in devpi-web was 404 until an installer had asked for it."""
    stage = Stage()
    assert stage.has_project(project) is exists
    assert stage.asked == [project]


def test_nobody_is_told_that_there_is_no_project_while_nobody_knows() -> None:
    """Only an upstream's 404 is a 404."""
    with pytest.raises(GatewayError):
        Stage().has_project("trouble")


@pytest.mark.parametrize("found", [True, False, unknown])
def test_what_is_known_and_what_is_written_waits_for_no_upstream(found: object) -> None:
    """A write keeps all others from writing."""
    stage = Stage(found, write=found is unknown)
    assert stage.has_project("demo") is found
    assert stage.asked == []


def test_a_view_of_devpi_web_finds_what_the_upstream_has() -> None:
    """They all verify the project of their address so (GET /user/index/project with Accept: text/html)."""

    def verified(project: str) -> object:
        context = RootFactory.__new__(RootFactory)
        vars(context).update(project=project, stage=Stage(), request=Request.blank("/"))
        return context.verified_project

    assert verified("demo") == "demo"
    with pytest.raises(HTTPNotFound):
        verified("other")
