"""The manifest of a release: its code, its configuration, how its processes start, stop and are probed."""

import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from packhorse.errors import PackhorseError
from release.host.formats import schedule

JOB_NAME = "[A-Za-z][A-Za-z0-9_-]{0,30}"  # as a process type
NO_JOB_NAMES = ("web", "release", "run", "circusd", "forward", "maintenance", "drain")
"""Names of other logs: `release logs --process` could not tell them apart."""


@dataclass(frozen=True)
class File:
    """A file of an index. Without a `url` the page of `project` on the index tells it.

    Raises PackhorseError for a name or a hash that is none: they become a path in the cache.
    """

    project: str
    filename: str
    sha256: str
    url: str | None = None

    def __post_init__(self) -> None:
        """Refuse names of no file."""
        if not re.fullmatch(r"[^./\0][^/\0]*", self.filename) or not re.fullmatch(
            r"[0-9a-f]{64}", self.sha256
        ):
            raise PackhorseError(
                f"This is no file of a package: {self.filename!r} with sha256 {self.sha256!r}.",
                "Find out where that comes from: the index, the lock, or another host of the target.",
            )


@dataclass(frozen=True)
class Health:
    """The probe: GET `path` with this Host header; `timeout` and `interval` in seconds.

    Without a `path` it is the first of health.DEFAULT_PATHS that the application has.
    """

    path: str | None
    host: str
    timeout: float
    interval: float


@dataclass(frozen=True)
class ReplacementRule:
    """Rule for replacing the processes of one type; `stop_timeout` is in seconds.

    With `overlap` the new ones start before the old ones stop.
    """

    overlap: bool
    stop_timeout: float


@dataclass(frozen=True)
class Job:
    """A command that runs at the times of `calendars` (systemd.time(7)), which `schedule` stands for.

    With `overlap` although it still runs; for at most `timeout` seconds.
    """

    name: str
    schedule: str
    calendars: list[str]
    command: str
    overlap: bool
    timeout: float | None

    def __post_init__(self) -> None:
        """Refuse what another host may have made up: a path, an option."""
        right = re.fullmatch(JOB_NAME, self.name) and self.calendars
        if not right or not all(re.fullmatch(schedule.CALENDAR, each) for each in self.calendars):
            raise PackhorseError(
                f"This is no job: {self.name!r} at {self.calendars!r}.",
                "Find out where that comes from: release.toml, or another host of the target.",
            )


@dataclass(frozen=True)
class Content:
    """Code and configuration of a release: what is deployed, gone back to, and the same on all hosts.

    `files`: all of the version, of which each host takes the one that fits; `index`: the URL of the company
    index on which they lie. `env` came with the deploy, `config` was set by `release config`, and wins: both
    may hold secrets. Without a variable that is `required` it is not deployed.
    `python`: such as 3.12; None: that of the agent. `static`: the folder of the wheel with its static files.
    """

    project: str
    version: str
    files: list[File]
    installer: str
    health: Health
    graceful_timeout: float
    rules: dict[str, ReplacementRule]
    env: dict[str, str] = field(repr=False)
    index: str | None = None
    config: dict[str, str] = field(default_factory=dict, repr=False)
    required: list[str] = field(default_factory=list)
    python: str | None = None
    jobs: list[Job] = field(default_factory=list)
    static: str | None = None

    def __post_init__(self) -> None:
        """Refuse what another host may have made up: both become parts of a program's path."""
        right = self.python is None or re.fullmatch(r"3\.\d{1,2}", self.python, re.ASCII)
        if not right or self.installer not in ("uv", "pip", ""):  # "": nothing is deployed
            raise PackhorseError(
                f"This is no Python and no installer: {self.python!r}, {self.installer!r}.",
                "Find out where that comes from: release.toml, or another host of the target.",
            )

    @property
    def environment(self) -> dict[str, str]:
        """Environment of its processes."""
        return {**self.env, **self.config}

    @classmethod
    def of_json(cls, table: Mapping[str, Any]) -> Self:
        """The content that `dataclasses.asdict` made `table` of, after a way as JSON."""
        nested = {
            "files": [File(**file) for file in table["files"]],
            "health": Health(**table["health"]),
            "rules": {name: ReplacementRule(**rule) for name, rule in table["rules"].items()},
            "jobs": [Job(**job) for job in table.get("jobs", [])],
        }
        return cls(**{**table, **nested})

    def digest(self, key: str, artifact: "Identity | None" = None) -> str:
        """HMAC-SHA256 of the content: equal for equal content and `key`, wherever the files lie.

        With `artifact` it covers what that says about its origin, which a host knows when it has the file.
        Values of `env` can be guessed from a plain hash, one after the other: so the key is random, made for
        one command, and kept nowhere.
        """
        files = sorted(file.sha256 for file in self.files)
        origin = [artifact.commit, artifact.dirty, artifact.committer] if artifact else []
        table = {**asdict(self), "files": files, "index": None, "origin": origin}
        return hmac.digest(key.encode(), json.dumps(table, sort_keys=True).encode(), "sha256").hex()


NO_CODE = Content("", "", [], "", Health("/", "", 0, 0), graceful_timeout=0, rules={}, env={})
"""Content of a host before its first deploy: perhaps a configuration, for that deploy."""


@dataclass(frozen=True)
class Identity:
    """Identity of the artifact that a host installs; None: unknown (a build or deploy of an older Packhorse).

    `index`: the company index on which it lay. `committer` made `commit`, the last one in the project's
    folder; `dirty`: there were changes since. `signer`: the key that was required and has signed it.
    """

    name: str
    version: str
    filename: str
    sha256: str
    index: str | None
    commit: str | None
    dirty: bool | None
    committer: str | None
    signer: str | None = None


@dataclass(frozen=True)
class ReleaseSpec:
    """A release to make: its number and content, `by` whom; `origin` as in its manifest, itself if None.

    Without `index_url` every file has to be on this host already. `signers` and `index_token` are as in the
    request; code that is here already is not verified again `unless_installed`. `reason`: why it is made, for
    the journal.
    """

    number: int
    content: Content
    origin: int | None
    index_url: str | None
    by: str
    signers: list[str] = field(default_factory=list)
    unless_installed: bool = False
    reason: str = ""
    index_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class ReleaseManifest:
    """A release. `processes`: process type -> command; `sha256` is the artifact's; `at` is in UTC.

    `rules`: process type -> rule, where one was written; `files`: sha256 -> name of every file that it was
    installed from. `origin`: the release whose content this is, itself unless somebody rolled back. `port`:
    what a release of an earlier Packhorse listens on, None for all that get a socket. `offered`: sha256 ->
    name of all files of the version when it was deployed; without any it was the artifact alone.
    `required_python`: the `python` of its content. The rest is as in `Identity` and `Content`.
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
    rules: dict[str, ReplacementRule]
    files: dict[str, str]
    origin: int
    port: int | None = None
    offered: dict[str, str] = field(default_factory=dict)
    index: str | None = None
    dirty: bool | None = None
    committer: str | None = None
    signer: str | None = None
    required: list[str] = field(default_factory=list)
    required_python: str | None = None
    jobs: list[Job] = field(default_factory=list)
    static: str | None = None

    @property
    def artifact(self) -> Identity:
        """Identity of what was installed."""
        known = (self.index, self.commit, self.dirty, self.committer, self.signer)
        return Identity(self.project, self.version, self.filename, self.sha256, *known)

    @property
    def serves(self) -> bool:
        """Whether it answers requests, and has not only workers."""
        return "web" in self.processes

    @property
    def running(self) -> list[str]:
        """The process types that go on running; `release` runs once, before the start."""
        return [process for process in self.processes if process != "release"]

    def stop_timeout(self, process: str) -> float:
        """Seconds that processes of this type get to finish what they work on."""
        return self.rules[process].stop_timeout if process in self.rules else self.graceful_timeout

    def overlaps(self, process: str) -> bool:
        """Whether a new process of this type may run beside an old one."""
        return process == "web" or (process in self.rules and self.rules[process].overlap)
