"""Ask all hosts of all targets what they run, and indexes what they have; failures are part of the answer."""

import contextlib
from collections.abc import Mapping
from pathlib import Path

from packhorse.errors import PackhorseError
from release import index
from release.agents import connection, controller, destinations
from release.config.release_toml import ReleaseConfig
from release.config.target.target import Target
from release.deploy import requests
from release.deploy.source import Source
from release.host.request import Request, Show
from release.inspect.pipeline import HostCell, IndexCell, cell


def targets(settings: ReleaseConfig, home: Path) -> dict[str, Target]:
    """All targets, as release.toml has them; `local` also when the application was deployed there without."""
    names = [*settings.targets]
    if "local" not in names and ((home / "apps" / settings.app / "current").is_symlink() or not names):
        names.append("local")
    return {name: settings.target(name) for name in names}


def index_cell(url: str, project: str, get: index.Get) -> IndexCell:
    """The newest version of `project` that lies on the index `url` itself."""
    try:
        own = [file for file in index.files(url, project, get) if file.own]
    except PackhorseError as error:
        return IndexCell(url, None, error.message)
    newest = requests.newest(requests.versions(own, project))
    return IndexCell(url, str(newest) if newest else None)


def available(source: Source | None, project: str) -> str | None:
    """The version that a deploy from `source` would take; None when nobody knows."""
    if not source:
        return None
    try:
        company = [file for file in source.files(project) if file.company]
    except PackhorseError:
        return None
    newest = requests.newest(requests.versions(company, project))
    return str(newest) if newest else None


def hosts(
    settings: ReleaseConfig, targets: Mapping[str, Target], home: Path, project: str
) -> dict[str, list[HostCell]]:
    """Target -> which version of `project` each of its hosts runs; all are asked at the same time."""
    found: dict[str, list[HostCell]] = {name: [] for name in targets}
    with contextlib.ExitStack() as stack:
        agents: dict[str, connection.AgentProcess] = {}
        asked: dict[str, Request] = {}
        places: list[tuple[str, str]] = []
        for name, target in targets.items():
            here = connection.LocalDestination.below(home, name)
            there = destinations.of_target(here, target.hosts, target.user, settings.app, settings.targets)
            for host, destination in there.items():
                try:
                    agent = stack.enter_context(connection.AgentProcess(destination))
                except PackhorseError as error:  # no ssh on this machine
                    found[name].append(HostCell(host, error=error.message))
                    continue
                key = str(len(places))  # a host may be in several targets
                places.append((name, host))
                agents[key] = agent
                asked[key] = requests.request(Show, settings.app, target, home, target_name=name)
        outcome = controller.run(agents, asked, lambda _host, _event: None)
    for (name, host), state in zip(places, outcome.hosts, strict=True):
        found[name].append(cell(host, state.last or {}, project))
    return found
