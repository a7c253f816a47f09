"""Requests to the agent, the same classes at both ends: one JSON line on its stdin."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packhorse.errors import PackhorseError
from release.host.disk.layout import Layout
from release.host.disk.manifest import Content

PROTOCOL = 6


@dataclass(frozen=True, kw_only=True)
class Request:
    """The part that all requests have: which application, where it lives, who asks.

    `target_name`: the word by which the user names the target, for commands in hints.
    `root` and `run` are those of layout.py; on a server systemd runs circusd: it is `supervised`. The agent
    waits at the `gates`, and takes the controller for dead after `silence` seconds without a byte.
    `lock_wait`: seconds to wait for another command.
    """

    app: str
    root: str
    run: str
    supervised: bool
    by: str
    target_name: str
    silence: float | None = None
    gates: list[str] = field(default_factory=list)
    lock_wait: float = 0.0

    @property
    def layout(self) -> Layout:
        """Paths of the application."""
        return Layout(self.app, Path(self.root), Path(self.run))


@dataclass(frozen=True)
class Check:
    """Check of a process type without a socket: seconds to stay up, and a `command` that has to end with 0.

    The command is tried for `timeout` seconds; [] for none.
    """

    uptime: float
    command: list[str]
    timeout: float


@dataclass(frozen=True, kw_only=True)
class Change(Request):
    """Fields that a deploy and a rollback share; the controller makes the random `key` of digests.

    Without `index_url` every file has to be on the host; `index_token` reads that index for an hour, None: it
    is for everybody. `keep`: how many good releases stay; `plan`: only
    say what would be done; `release_phase`: this host runs it; `retry_release`: run it although the last one
    was cut off; `runs_jobs`: this host runs the scheduled jobs. One of `signers` has to have signed what is
    installed, without any it need not be signed. `maintenance`: in maintenance mode from before the release
    phase until it serves. `checks`: process type -> how to see that its processes are ready.
    """

    index_url: str | None
    keep: int
    key: str
    index_token: str | None = field(default=None, repr=False)
    plan: bool = False
    release_phase: bool = True
    retry_release: bool = False
    runs_jobs: bool = False
    maintenance: bool = False
    signers: list[str] = field(default_factory=list)
    checks: dict[str, Check] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Deploy(Change):
    """Make `content` serve on `bind`: host and port, None for the unix socket.

    `services`: service of release.toml that the target uses -> the variable that usually has its URL.
    """

    content: Content
    bind: tuple[str, int] | None
    services: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Rollback(Change):
    """Make the content of good release `release` serve; None: of the one before the current one."""

    release: int | None


@dataclass(frozen=True, kw_only=True)
class Configure(Change):
    """Make the current release serve with another configuration: `values` are set, `unset` are removed.

    Before the first deploy it is kept for that. With `follow` this host takes what the others have instead.
    """

    values: dict[str, str] = field(default_factory=dict, repr=False)
    unset: list[str] = field(default_factory=list)
    follow: bool = False

    @property
    def reason(self) -> str:
        """Description of the change, without values."""
        parts = {"set": sorted(self.values), "unset": sorted(self.unset)}
        text = "; ".join(f"{word} {', '.join(names)}" for word, names in parts.items() if names)
        return text[:1].upper() + text[1:] or "Took what another host runs"


AnyChange = Deploy | Rollback | Configure


@dataclass(frozen=True, kw_only=True)
class Configuration(Request):
    """Say which variables are set, and with `reveal` to what: those in `names`, None: all.

    Hosts compare by digests with `key`, which is random.
    """

    key: str
    reveal: bool
    names: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class Releases(Request):
    """List the releases."""


@dataclass(frozen=True, kw_only=True)
class Journal(Request):
    """Say what was done: the last `lines` entries of the journal."""

    lines: int


@dataclass(frozen=True, kw_only=True)
class Show(Request):
    """Describe `releases`, None among them being the current one.

    With `before`, the good one before the first of them comes first. With a random `key`, digests of the
    variables tell which ones differ; their values are never sent.
    """

    releases: list[int | None] = field(default_factory=list)
    before: bool = False
    key: str = ""


@dataclass(frozen=True, kw_only=True)
class Status(Request):
    """Say what runs."""


@dataclass(frozen=True, kw_only=True)
class Logs(Request):
    """Send the last `lines` (None: all) of the logs of `processes` and `release`, and what follows.

    Without `processes` those of releases, without `release` all of them. `ago` seconds or `since` a time as
    logs have it: nothing older. `grep`: a regular expression. `resume`: go on at these positions of logs.
    """

    lines: int | None
    follow: bool
    release: int | None = None
    processes: list[str] = field(default_factory=list)
    grep: str = ""
    ago: float | None = None
    since: str = ""
    resume: dict[str, list[int]] | None = None


@dataclass(frozen=True, kw_only=True)
class Run(Request):
    """Run the command `arguments` once, with code and configuration of `release` (None: the current one).

    With `job` it is that of a job.

    Its input and output pass through the connection: see commands/run.py. `terminal`: the user's, as `rows`,
    `columns` and `type` (TERM); None: it gets pipes.
    """

    arguments: list[str]
    terminal: dict[str, Any] | None
    release: int | None = None
    job: str | None = None


@dataclass(frozen=True, kw_only=True)
class Jobs(Request):
    """List the scheduled jobs."""


@dataclass(frozen=True, kw_only=True)
class Note(Request):
    """Write into the journal that the command `what` was given."""

    what: str


@dataclass(frozen=True, kw_only=True)
class LogDrain(Request):
    """Send all that the application logs `to` journald, syslog or off; None: say how it is."""

    to: str | None = None


@dataclass(frozen=True, kw_only=True)
class Stop(Request):
    """Stop the application, or only the processes of type `process`, until they are started again."""

    process: str | None = None


@dataclass(frozen=True, kw_only=True)
class Start(Request):
    """Start the application, with all of its types, or only the type `process`."""

    process: str | None = None


@dataclass(frozen=True, kw_only=True)
class Restart(Request):
    """Replace the processes of type `process`, None: of all types, by new ones of the same release."""

    process: str | None


@dataclass(frozen=True, kw_only=True)
class Ps(Request):
    """List the processes."""


@dataclass(frozen=True, kw_only=True)
class Scale(Request):
    """Run so many processes of each type in `counts`; without any, only say how many there are."""

    counts: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Maintenance(Request):
    """Turn maintenance mode `on` or off; None: say how it is. For the rest see processes/maintenance.py."""

    on: bool | None = None
    retry_after: int = 300
    allow: list[str] = field(default_factory=list)
    page: str | None = None


@dataclass(frozen=True, kw_only=True)
class StaticFiles(Request):
    """Name the static files of all releases, and let nothing change until the gate `start`."""


@dataclass(frozen=True, kw_only=True)
class Verify(Request):
    """Compare the files of all releases with what was installed."""


@dataclass(frozen=True, kw_only=True)
class Doctor(Request):
    """Examine the host: `index_url` is a page of the index; `toolbox_sha256` is the hash of its requirements.

    The random `key` is for the digest of the content; `index_token` as in `Change`.
    """

    index_url: str | None
    key: str
    toolbox_sha256: str
    index_token: str | None = field(default=None, repr=False)


KINDS = (
    Deploy,
    Rollback,
    Configure,
    Configuration,
    Releases,
    Journal,
    Status,
    Logs,
    LogDrain,
    Stop,
    Start,
    Restart,
    Ps,
    Scale,
    StaticFiles,
    Verify,
    Doctor,
    Show,
    Maintenance,
    Run,
    Note,
    Jobs,
)
COMMANDS = {kind.__name__.lower(): kind for kind in KINDS}


def encode(request: Request) -> bytes:
    """The line that `decode` reads."""
    head = {"protocol": PROTOCOL, "command": type(request).__name__.lower()}
    return json.dumps({**head, **dataclasses.asdict(request)}).encode() + b"\n"


def decode(table: Mapping[str, Any]) -> Request:
    """The request in the JSON object `table`. Raises PackhorseError for another protocol's."""
    if table.get("protocol") != PROTOCOL:
        raise PackhorseError(
            f"This agent speaks protocol {PROTOCOL}, the request protocol {table.get('protocol')}.",
            "Use the same version of Packhorse at both ends.",
        )
    fields = {key: value for key, value in table.items() if key not in {"protocol", "command"}}
    if "checks" in fields:
        fields["checks"] = {name: Check(**check) for name, check in fields["checks"].items()}
    if "content" in fields:
        fields["content"] = Content.of_json(fields["content"])
        fields["bind"] = tuple(fields["bind"]) if fields["bind"] else None
    return COMMANDS[table["command"]](**fields)
