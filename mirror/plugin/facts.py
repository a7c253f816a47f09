"""What is known about a file and a project, in the form that all parts of the plugin share."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class FileFacts:
    """One file of a project, as upstream described it or as we know it from an upload.

    None means that nobody said; pages leave such a key out.
    """

    filename: str
    path: str  # where devpi keeps it: "root/pypi/+f/…/name.whl", no leading slash, no fragment
    url: str = ""  # where upstream has it, without credentials; "" for uploads
    hashes: Mapping[str, str] = field(default_factory=dict)  # {"sha256": "…hex…"}, all that were given
    requires_python: str | None = None
    yanked: bool | str = False  # True or the reason (PEP 592)
    size: int | None = None  # bytes (PEP 700)
    upload_time: str | None = None  # "2024-01-31T12:00:00.000000Z" (PEP 700)
    core_metadata: bool | Mapping[str, str] = False  # as upstream said it (PEP 658, PEP 714)
    provenance: str | None = None  # URL (PEP 740)

    @property
    def is_wheel(self) -> bool:
        return self.filename.endswith(".whl")


@dataclass(frozen=True, slots=True)
class ProjectFacts:
    """One project as one index shows it."""

    name: str  # normalised (PEP 503)
    files: tuple[FileFacts, ...]
    status: Mapping[str, str] = field(default_factory=dict)  # {"status": …, "reason": …} (PEP 792)
