"""Report the mirror's state, indexes and upstream, as text or JSON."""

import contextlib
import json
import os
import platform
import ssl
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mirror import api, indexes, last_refresh, state
from mirror.api import HttpApi
from mirror.last_refresh import LastRefresh
from mirror.monitoring import numbers
from mirror.policy.settings import needing_advisories
from mirror.serving import server, trust_store
from mirror.state import Folder
from packhorse import quantities, urls
from packhorse.errors import PackhorseError

UPSTREAM_SECONDS = 10.0


@dataclass(frozen=True)
class IndexReport:
    """An index: its settings, and the number and bytes of its files on disk."""

    name: str
    type: str
    bases: list[str]
    volatile: bool
    files: int
    bytes: int


@dataclass(frozen=True)
class UpstreamReport:
    """The upstream's answer: an HTTP status after some seconds, or an error."""

    url: str
    status: int | None
    seconds: float
    error: str | None

    @property
    def answers(self) -> bool:
        # 404: the index works, and lacks the project that we asked for.
        return self.status is not None and (self.status < 400 or self.status == 404)

    def __str__(self) -> str:
        refuses = f"answers {self.status}" if self.status else f"does not answer: {self.error}"
        return f"{self.url} {'is reachable' if self.answers else refuses} ({self.seconds:.2f} s)"


@dataclass(frozen=True)
class RefusedHost:
    """A host that the upstream led to, why it was not asked, and the `hosts` of mirror.toml that allow it."""

    upstream: str
    host: str
    reason: str
    hosts: str


@dataclass(frozen=True)
class StatusReport:
    """The data of `mirror status`."""

    home: str
    url: str | None
    pid: int | None
    initialised: bool
    serves: bool
    versions: dict[str, str]
    indexes: list[IndexReport]
    upstream: UpstreamReport | None
    refused_hosts: list[RefusedHost]  # since the server started
    changed_files: dict[str, dict[str, str]]  # by their paths: those that the upstream has changed
    problems: dict[str, str] = field(default_factory=dict)  # why the server is not ready to serve
    numbers: dict[str, float] = field(default_factory=dict)  # metrics since the server started
    offline: bool = False  # no upstream is asked, neither by the server nor for this report
    last_refresh: LastRefresh | None = None  # None: there was none
    lack_advisories: list[str] = field(
        default_factory=list
    )  # indexes that list nothing of upstreams therefore


def gather(folder: Folder) -> StatusReport:
    """Read the folder, ask the server, ask the upstream."""
    now = state.read_serving(folder)
    serves = now is not None and server.answers(now.url)
    password = _password(folder)
    # Without a login devpi lists nothing: who has no password, or a wrong one, sees the rest.
    if now and serves and password and HttpApi(now.url).accepts("root", password):
        users = indexes.read(HttpApi(now.url, password))
    else:
        users = {}
    return StatusReport(
        home=str(folder.root),
        url=now.url if now else None,
        pid=now.pid if now else None,
        initialised=folder.initialised(),
        serves=serves,
        versions={
            "packhorse": version("packhorse"),
            "devpi-server": version("devpi-server"),
            "python": platform.python_version(),
        },
        indexes=list(index_reports(users, folder.files)),
        upstream=None if now and now.offline else _upstream_report(users),
        refused_hosts=_refused_hosts(folder.refused_hosts) if serves else [],
        changed_files=_changed_files(now.url, folder) if now is not None and serves else {},
        problems=_problems(now.url) if now is not None and serves else {},
        numbers=_numbers(now.url) if now is not None and serves else {},
        offline=now is not None and now.offline,
        last_refresh=last_refresh.read(folder.last_refresh),
        lack_advisories=_lack_advisories(now.url, folder) if now is not None and serves else [],
    )


def _problems(url: str) -> dict[str, str]:
    import httpx

    with api.client(timeout=10) as client, contextlib.suppress(httpx.HTTPError, ValueError):
        found: dict[str, str] = client.get(f"{url}/+ready").json().get("problems", {})
        return found
    return {}


def _numbers(url: str) -> dict[str, float]:
    """The metrics; empty where we may not read them, or of an earlier version that still serves."""
    import httpx

    with api.client(timeout=10) as client, contextlib.suppress(httpx.HTTPError, ValueError):
        answer = client.get(f"{url}/+metrics")
        return numbers.parse(answer.text) if answer.status_code == 200 else {}
    return {}


def _changed_files(url: str, folder: Folder) -> dict[str, dict[str, str]]:
    if (password := _password(folder)) is None:
        return {}
    found: dict[str, dict[str, str]] = {}
    with contextlib.suppress(
        PackhorseError
    ):  # an earlier version that serves until its restart has no such list
        found = HttpApi(url, password).call("GET", "/+changed-files")
    return found


def _lack_advisories(url: str, folder: Folder) -> list[str]:
    password = _password(folder)
    if password is None or folder.advisories.exists():
        return []
    with contextlib.suppress(PackhorseError):  # an earlier version that serves until its restart
        return needing_advisories(HttpApi(url, password).call("GET", "/+policies")["settings"])
    return []


def _refused_hosts(path: Path) -> list[RefusedHost]:
    with contextlib.suppress(FileNotFoundError):
        return [RefusedHost(**json.loads(line)) for line in path.read_text().splitlines()]
    return []


def _password(folder: Folder) -> str | None:
    """The password of root, whom alone devpi tells the upstream's login; None when we may not read it."""
    try:
        credentials = state.read_credentials(folder)
    except (PackhorseError, PermissionError):  # the rest of the report needs no password
        return None
    return credentials.users.get("root") if credentials else None


def index_reports(users: indexes.Users, files: Path) -> Iterator[IndexReport]:
    for user, data in sorted(users.items()):
        for name, index in sorted(data.get("indexes", {}).items()):
            sizes = list(_sizes(files / user / name))
            bases = list(index.get("bases", []))
            yield IndexReport(
                f"{user}/{name}", index["type"], bases, index["volatile"], len(sizes), sum(sizes)
            )


def _sizes(folder: Path) -> Iterator[int]:
    for parent, _, names in os.walk(folder):
        for name in names:
            # The server may delete a file while we look.
            with contextlib.suppress(FileNotFoundError):
                yield (Path(parent) / name).stat().st_size


def _upstream_report(users: indexes.Users) -> UpstreamReport | None:
    """Ask for one small page; None when the server has no upstream index."""
    found = users.get("root", {}).get("indexes", {}).get("pypi")
    return ask_upstream(found["mirror_url"], trust_store.path(os.environ)) if found else None


def ask_upstream(url: str, trusted: str | None) -> UpstreamReport:
    """Ask the index at `url` for one project page; `trusted`: a file of certificates."""
    import httpx

    shown = urls.without_logins(url)
    page = f"{url.rstrip('/')}/pip/"
    started = time.monotonic()
    try:
        verify = ssl.create_default_context(cafile=trusted) if trusted else True
        with httpx.stream(
            "GET", page, timeout=UPSTREAM_SECONDS, verify=verify, follow_redirects=True
        ) as answer:
            return UpstreamReport(shown, answer.status_code, round(time.monotonic() - started, 3), None)
    except OSError as error:  # of the certificates: httpx has exceptions of its own
        reason = f"{trusted}: {error.strerror}"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = str(error) or type(error).__name__
    return UpstreamReport(shown, None, round(time.monotonic() - started, 3), reason)


def exit_code(report: StatusReport) -> int:
    """0: it serves; 3: it does not run (as in `systemctl status`); 1: it runs and does not answer."""
    if report.serves:
        return 0
    return 3 if report.pid is None else 1


def as_json(report: StatusReport) -> dict[str, Any]:
    """The report for scripts; keys are only ever added."""
    upstream = {**asdict(report.upstream), "answers": report.upstream.answers} if report.upstream else None
    return {**asdict(report), "upstream": upstream}


def as_text(report: StatusReport) -> str:
    """The report for people, without a final newline."""
    versions = ", ".join(f"{name} {number}" for name, number in report.versions.items())
    lines = [f"mirror     {_state(report)}", f"folder     {report.home}", f"versions   {versions}"]
    lines += [f"not ready  {name}: {problem}" for name, problem in report.problems.items()]
    if report.offline:
        lines.append("upstream   offline: no upstream is asked")
    if report.upstream:
        lines.append(f"upstream   {report.upstream}")
    if report.lack_advisories:
        where = ", ".join(report.lack_advisories)
        lines.append(f"advisories none yet: nothing of upstreams is listed on {where}")
        lines.append("           to bring them: mirror advisories update FILE")
    if report.last_refresh:
        lines.append(f"refresh    {report.last_refresh}")
    lines += numbers.lines(report.numbers) if report.numbers else []
    for refused in report.refused_hosts:
        lines.append(f"refused    {refused.host}, to which {refused.upstream} leads: {refused.reason}")
        lines.append(f"           to allow it: hosts = {refused.hosts}, below [upstream] in mirror.toml")
    for path, changed in report.changed_files.items():
        lines.append(f"changed    {path} upstream, from {changed['kept']}, which is served,")
        lines.append(f"           to {changed['refused']}; to take that: mirror accept-changed {path}")
    if report.indexes:
        lines += ["", *_table(report.indexes)]
    return "\n".join(lines)


def _state(report: StatusReport) -> str:
    if not report.initialised:
        return "does not exist yet: make it with `mirror init`"
    if report.pid is None:
        return "not running: start it with `mirror serve`"
    verb = "serves" if report.serves else "runs but does not answer"
    return f"{verb} at {report.url} (process {report.pid})"


def _table(rows: list[IndexReport]) -> list[str]:
    cells = [("INDEX", "TYPE", "VOLATILE", "BASES", "FILES", "SIZE")] + [
        (
            row.name,
            row.type,
            "yes" if row.volatile else "no",
            ",".join(row.bases) or "-",
            str(row.files),
            quantities.shown(row.bytes),
        )
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in cells]
