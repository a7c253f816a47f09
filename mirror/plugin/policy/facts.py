"""Facts about a project and a file that rules decide by."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType

from packaging.version import Version

from mirror.advisories.matching import KnownVulnerabilities
from mirror.plugin.policy.evidence import Evidence
from mirror.plugin.simple import filenames
from mirror.plugin.simple.file_rows import FileObject, ProjectFile, Rows


@dataclass(frozen=True)
class ProjectFacts:
    """A project as the index that holds it knows it."""

    name: str  # normalised (PEP 503)
    is_upload: bool = False  # the index that holds it is one of uploads
    status: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))  # PEP 792
    is_known: bool = True  # False: no page of it is here, so that its status is unknown
    vulnerabilities: Callable[[], KnownVulnerabilities] | None = None  # raises where they cannot be read
    is_listed: bool = True  # False: the page does not list the file that is asked for
    first_seen: Callable[[str], float | None] | None = None  # of a file name: seconds since the epoch
    seen_since: float = 0.0  # when the first page of the project was seen
    reserved: frozenset[str] = frozenset()  # names of our own, normalised
    page: Rows | None = None  # when all files of it are judged
    evidence: Evidence = field(default_factory=Evidence)
    filenames: Sequence[str] = ()  # of all files of the page, in its order


class FileFacts:
    """A file as the page of its project describes it; what is None is unknown. Pages have thousands."""

    __slots__ = ("_row", "project")

    def __init__(self, project: ProjectFacts, row: FileObject | ProjectFile) -> None:
        self.project = project
        self._row = row

    @property
    def filename(self) -> str:
        return self._row.filename

    @property
    def upload_time(self) -> str | None:
        """Time of the upload by the upstream's word, such as "2024-01-31T12:00:00.000000Z"."""
        return self._row.upload_time

    @property
    def yanked(self) -> bool | str:
        """True or the reason."""
        return self._row.yanked or False

    @property
    def hashes(self) -> Mapping[str, str]:
        return self._row.hashes

    @property
    def provenance(self) -> str | None:
        """URL (PEP 740)."""
        return self._row.provenance

    @property
    def size(self) -> int | None:
        return self._row.size

    @property
    def is_wheel(self) -> bool:
        return self._row.filename.endswith(".whl")

    @property
    def version(self) -> Version | None:
        """The version that installers read from the file's name; None when it tells none that PEP 440 has."""
        return _version(filenames.version_for(self.project.name, self.filename) or "")

    @property
    def tells_its_project(self) -> bool:
        """Whether the name is one of a file of the project whose page lists it."""
        return filenames.may_be_of(self.filename, self.project.name)


@lru_cache(maxsize=10_000)
def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except ValueError:  # also of more digits than Python reads
        return None
