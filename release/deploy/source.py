"""The index that a target takes its versions from: `index` of the target, else that of the project."""

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

from packhorse.errors import PackhorseError
from release import index, reading
from release.config import company_index
from release.config.release_toml import ReleaseConfig
from release.config.target.target import Target
from release.deploy import requests
from release.deploy.requests import Artifact, Requirement


@dataclass(frozen=True)
class Source:
    """The index `url`. With `only`, what it inherits does not count: the target has named this index.

    `project`: the index of the project, where versions wait for their promotion; `private` as in
    `index.company_files`. `read_token`: what hosts read it with, see `reading.Reader.token`.
    """

    url: str
    only: bool
    project: str | None
    private: bool
    get: index.Get = index.get
    read_token: Callable[[], str | None] = lambda: None

    def files(self, project: str) -> list[index.ListedFile]:
        """Files that it shows for `project`, without those that may not be deployed to this target."""
        shown = index.company_files(self.url, project, self.get, private=self.private)
        return [file for file in shown if not (self.only and file.company and file.index != self.url)]

    def artifact(self, requirement: Requirement) -> Artifact:
        """The version of `requirement` that is there. Raises PackhorseError, with the way to get it there."""
        files = self.files(requirement.project)
        if self.only and self.project and self.project != self.url:
            self._require_promoted(requirement, files, self.project)
        return requests.artifact(files, requirement, self.url)

    def knows(self, project: str, version: Version) -> bool:
        """Whether it has a version, or the index where the project's versions wait for their promotion."""
        return any(
            version in requests.versions((file for file in files if file.company), project)
            for url in {self.url, self.project or self.url}
            if (files := index.company_files(url, project, self.get, private=self.private))
        )

    def _require_promoted(self, wanted: Requirement, files: Iterable[index.ListedFile], project: str) -> None:
        here = requests.versions((file for file in files if file.company), wanted.project)
        if wanted.version in here or (here and not wanted.version):
            return
        listed = index.company_files(project, wanted.project, self.get, private=self.private)
        there = requests.versions((file for file in listed if file.company), wanted.project)
        version = wanted.version or requests.newest(there)
        if version in there:
            what, beside = f"{wanted.project}=={version}", index.server(project) == index.server(self.url)
            raise PackhorseError(
                f"{self.url}, which this target takes versions from, has no {what}; {project} has it.",
                f"release promote {what} --from {index.short(project)} --to {index.short(self.url)}"
                if beside
                else f"Upload it there, too: release upload --index {self.url}",
            )


def of_target(settings: ReleaseConfig, target: Target, home: Path) -> Source:
    """The source of versions for `target`. Raises PackhorseError when no index is known."""
    url = company_index.of_target(settings, target, home)
    project = None
    with contextlib.suppress(PackhorseError):  # a target with a whole URL needs none
        project = company_index.of_project(settings, home)
    reader = reading.of([url, project] if project else [url], home)
    return Source(url, bool(target.index), project, settings.index_is_private, reader.get, reader.token)
