"""What a release is: what it holds, how its processes start and stop, how its health is found out."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Health:
    """The probe: GET `path` with this Host header; `timeout` and `interval` in seconds."""

    path: str
    host: str
    timeout: float
    interval: float


@dataclass(frozen=True)
class Rule:
    """How the processes of one type are replaced; `stop_timeout` is in seconds.

    With `overlap` the new ones start before the old ones stop.
    """

    overlap: bool
    stop_timeout: float


@dataclass(frozen=True)
class ReleaseManifest:
    """What a release is. `processes`: process type -> command; `sha256` is the artifact's; `at` is in UTC.

    `rules`: process type -> rule, where one was written; `files`: sha256 -> name of every file that it was
    installed from. `origin`: the release whose content this is, itself unless somebody rolled back. `port`:
    what it listens on, None for the socket that it is given.
    """

    release: int
    project: str
    version: str
    filename: str
    sha256: str
    lock_sha256: str
    commit: str | None
    processes: dict[str, str]
    health: Health
    graceful_timeout: float
    installer: str
    python: str
    by: str
    at: str
    rules: dict[str, Rule]
    files: dict[str, str]
    origin: int
    port: int | None = None

    @property
    def running(self) -> list[str]:
        """The process types that go on running; `release` runs once, before the start."""
        return [process for process in self.processes if process != "release"]

    def stop_timeout(self, process: str) -> float:
        """How many seconds processes of this type get to finish what they work on."""
        return self.rules[process].stop_timeout if process in self.rules else self.graceful_timeout

    def overlaps(self, process: str) -> bool:
        """Whether a new process of this type may run beside an old one."""
        return process == "web" or (process in self.rules and self.rules[process].overlap)
