"""The context of a command on a project: the company index, PACKHORSE_HOME, processes and HTTP."""

from dataclasses import dataclass
from pathlib import Path

from packhorse import process
from release import index
from release.config import release_toml


@dataclass(frozen=True)
class Context:
    """The company index (its URL), PACKHORSE_HOME, a way to run processes, and HTTP."""

    index_url: str
    home: Path
    run: process.Runner
    get: index.Get = index.get

    @property
    def environment(self) -> dict[str, str]:
        """The environment of everything that installs: the company index and nothing else."""
        return process.installer_environment(release_toml.simple_url(self.index_url), self.home)
