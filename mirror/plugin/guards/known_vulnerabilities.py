"""Known vulnerabilities of projects, for policies and for `release build`, from the file on disk."""

from pathlib import Path

from mirror.advisories.database import About, Database
from mirror.advisories.matching import KnownVulnerabilities
from mirror.plugin import read_cache
from mirror.plugin.read_cache import FileVersion, ReadCache

REMEMBERED = 2000  # projects


class VulnerabilityFile:
    """The file that `mirror advisories update` replaces; a new one counts at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: ReadCache[KnownVulnerabilities] = ReadCache(REMEMBERED)

    def version(self) -> FileVersion | None:
        """Version of the file, None without one."""
        return read_cache.file_version(self._path)

    def about(self) -> About:
        """Facts of the file. Raises PackhorseError when there is none, or none that can be read."""
        return Database(self._path).about()

    def of(self, project: str) -> KnownVulnerabilities:
        """Known vulnerabilities of a normalised project. Raises PackhorseError, as `about` does."""
        version = self.version()
        if version and (found := self._known.get(project, version)):
            return found
        known = Database(self._path).known([project]).get(project) or KnownVulnerabilities([])
        if version:
            self._known.put(project, version, 1, known)
        return known
