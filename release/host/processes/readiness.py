"""Wait until the processes of a release are ready, or raise an error with the end of their log."""

import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from packhorse import files
from packhorse.errors import PackhorseError
from release.host.disk import releases, scale
from release.host.disk.layout import Layout
from release.host.disk.manifest import Health
from release.host.formats import log_line
from release.host.processes import circus_ini, health, sockets, watchers
from release.host.processes.watchers import Watcher
from release.host.runtime import launch

# So many processes that ended are a crash loop: waiting for the deadline would be in vain.
CRASH_LOOP = 2
# Of Python, C and SQLite. A port that may not be opened is no path.
_FORBIDDEN_WRITE = re.compile(
    r"Permission denied: ?['\"/]|Read-only file system|unable to open database file|readonly database"
)
_TRACEBACK = "Traceback (most recent call last):"
_GIVES_UP = re.compile(r"SystemExit\b|(\w+\.)*HaltServer\b")  # the latter is gunicorn's
STAY_UP = 1.0
"""Seconds that a process has to run to be taken for ready, where no answer to a probe must be its own."""

START_TIMEOUT = 5.0
"""Seconds for circus to start the processes of a watcher."""


class NotReadyError(Exception):
    """A process is not ready; the text says why, `answer` what the last probe was answered."""

    answer: health.ProbeResult | None = None


def is_healthy(layout: Layout, circus: circus_ini.Supervisor, number: int) -> bool:
    """Whether release `number` answers a probe now; one without `web`, whether its processes run."""
    if scale.serves(layout, number):
        manifest = releases.read_manifest(layout, number)
        return health.probe(sockets.private(layout, number), manifest.health).healthy
    return circus.running() and all(circus.pids(watcher.name) for watcher in watchers.of(layout, number))


def await_answer(
    layout: Layout, circus: circus_ini.Supervisor, web: Collection[Watcher], pause: Callable[[float], None]
) -> str:
    """Wait until a release is healthy, by its `web`; returns the request and the answer, for people.

    Without one there is nothing to ask. Raises PackhorseError with the last answer and log lines.
    """
    if not web:
        return "It serves no requests"
    (only,) = web
    manifest = releases.read_manifest(layout, only.release)
    where = sockets.private(layout, only.release)
    if manifest.port is None:
        where = sockets.of_watcher(layout, only.release, second=only.second)
    try:
        answer = probe_until_healthy(
            where, manifest.health, lambda: circus.pids(only.name), pause, only.count
        )
    except NotReadyError as reason:
        raise _failure(layout, only, reason) from None
    return f"GET {answer.path} was answered {answer.status}"


@dataclass
class _Watch:
    """Looks after `count` processes that are probed for `timeout` seconds: whether they stay up."""

    pids: Callable[[], list[int]]
    pause: Callable[[float], None]
    count: int
    timeout: float
    began: float
    seen: dict[int, float] = field(default_factory=dict)

    def look(self) -> bool:
        """Whether all have run for long enough. Raises NotReadyError."""
        there, now = self.pids(), time.monotonic()
        for pid in there:
            self.seen.setdefault(pid, now)
        self.pause(0)
        if now > self.began + self.timeout:
            raise NotReadyError(f"no good answer within {self.timeout:g} s")
        if len(self.seen) - self.count >= CRASH_LOOP:
            which = "its process" if self.count == 1 else f"one of its {self.count} processes"
            raise NotReadyError(f"{which} keeps ending ({len(self.seen)} so far)")
        return len(there) == self.count and all(now - self.seen[pid] >= STAY_UP for pid in there)


def probe_until_healthy(
    address: health.Address,
    settings: Health,
    pids: Callable[[], list[int]],
    pause: Callable[[float], None],
    count: int = 1,
) -> health.ProbeResult:
    """Probe until healthy. `pids` lists the processes there are now; `pause` waits, and may raise.

    Any of several processes may answer: so all `count` have to be there, for STAY_UP seconds. Raises
    NotReadyError at the deadline, or as soon as the processes turn out to be a crash loop.
    """
    watch = _Watch(pids, pause, count, settings.timeout, time.monotonic())
    silence = health.ProbeResult(
        healthy=False, text=health.NO_ANSWER, path=settings.path or health.DEFAULT_PATHS[0]
    )
    last = silence

    def look_without_answer() -> None:
        nonlocal last
        last = silence
        watch.look()

    try:
        while not (
            (answer := health.probe(address, settings, look_without_answer)).healthy
            and (count == 1 or watch.look())
        ):
            last = answer
            watch.look()
            pause(settings.interval)
    except NotReadyError as reason:
        error = NotReadyError(
            f"{reason}; the answer to GET {last.path} (Host: {settings.host}) was {last.text}"
        )
        error.answer = last
        raise error from None
    return answer


def await_up(
    layout: Layout,
    circus: circus_ini.Supervisor,
    started: Collection[Watcher],
    pause: Callable[[float], None],
    uptimes: Mapping[str, float] | None = None,
) -> None:
    """Wait until processes without a probe have run for long enough. Raises PackhorseError.

    `uptimes`: process type -> seconds, for those that need others than STAY_UP.
    """
    begun = time.monotonic()
    first: dict[Watcher, list[int]] = {}
    seen_at: dict[Watcher, float] = {}
    stay_up = {watcher: (uptimes or {}).get(watcher.process, STAY_UP) for watcher in started}
    ready = {watcher: begun + seconds for watcher, seconds in stay_up.items()}
    while ready:
        for watcher in started:
            pids, now = circus.pids(watcher.name), time.monotonic()
            if len(pids) == watcher.count and watcher not in first:
                first[watcher], seen_at[watcher] = pids, now
            starting = watcher not in first and now - begun < START_TIMEOUT  # a circusd that has just started
            if not starting and pids != first.get(watcher):
                raise _failure(layout, watcher, NotReadyError(_ended(now - seen_at.get(watcher, now))))
            ready[watcher] = now + stay_up[watcher] if starting else ready[watcher]
        if now >= max(ready.values()):
            return
        pause(health.TICK)


def _ended(seconds: float) -> str:
    """`seconds`: how long it was seen to run; 0 for one that ended before anybody looked."""
    return (
        "its process ended at once" if seconds < 2 * STAY_UP else f"its process ended after {seconds:.0f} s"
    )


def _failure(layout: Layout, watcher: Watcher, reason: NotReadyError) -> PackhorseError:
    manifest = releases.read_manifest(layout, watcher.release)
    path = layout.log(watcher.name)
    lines = [log_line.text_of(line) for line in files.last_lines(path, 1000).splitlines()]
    log = "\n".join(_excerpt(lines)) or "(it wrote nothing)"
    what = "" if watcher.process == "web" else f"{watcher.process} of "
    command = manifest.processes[watcher.process]
    return PackhorseError(
        f"{what}{manifest.project} {manifest.version} (release {watcher.release}) is not healthy: {reason}",
        forbidden_write(log)
        or (reason.answer and _hint(command, manifest.health, reason.answer))
        or f"Correct it, upload a new version and deploy that; the whole log is {path}",
        detail=f"Last lines of its log:\n{log}",
    )


def forbidden_write(output: str) -> str | None:
    """Hint for `output` of a process that tried to write to its release; None for any other."""
    if not _FORBIDDEN_WRITE.search(output):
        return None
    return "A process writes to $DATA_DIR only, which outlives releases: let it keep its files there."


def _hint(command: str, settings: Health, answer: health.ProbeResult) -> str | None:
    """Hint what to change, in the application or in release.toml; None: only the log can tell."""
    path = f'[health] path = "{settings.path or "/…"}" in release.toml'
    match answer.status:
        case None if launch.is_compound(command) and "exec " not in command:
            return (
                "Write `exec` before the server in the Procfile: it does not get its socket through a shell."
            )
        case None if answer.text == health.NO_ANSWER:
            return (
                "If the log names no cause: web in the Procfile has to listen on the socket that it inherits "
                "(gunicorn does, uvicorn with --fd 3) or on $PORT; if it only starts slowly, set [health] "
                f"timeout = {2 * settings.timeout:g} in release.toml."
            )
        case HTTPStatus.BAD_REQUEST | HTTPStatus.MISDIRECTED_REQUEST:
            return (
                f"Let the application accept the host {settings.host} (Django: ALLOWED_HOSTS), change "
                f'[health] host = "{settings.host}" in release.toml, or ask for another page: {path}.'
            )
        case HTTPStatus.NOT_FOUND | HTTPStatus.METHOD_NOT_ALLOWED:
            return f"Let the application answer GET {answer.path} with 2xx, or change {path}."
        case status if status and status < HTTPStatus.INTERNAL_SERVER_ERROR:
            root = " Without a path, / may do both." if settings.path == "/" else ""
            return (
                f"Let GET {answer.path} be answered 2xx, without a password or a redirect, or change {path}."
                f"{root}"
            )
    return None


def _excerpt(lines: Sequence[str]) -> list[str]:
    """The last lines, and before them the end of a traceback that they leave out."""
    last, cause = without_repetitions(lines)[-20:], _cause(lines)
    return last if not cause or cause[-1] in last else [*cause, "…", *last]


def _cause(lines: Sequence[str]) -> list[str]:
    """The end of the last traceback that says more than that a server gives up; none without one."""
    found: list[str] = []
    for begin in (at for at, line in enumerate(lines) if line.endswith(_TRACEBACK)):
        end = next((at for at in range(begin + 1, len(lines)) if not lines[at].startswith(" ")), begin)
        if end > begin and not _GIVES_UP.match(lines[end]):
            found = list(lines[max(begin, end - 6) : end + 1])
    return found


def without_repetitions(lines: Sequence[str]) -> list[str]:
    """`lines` whose end does not repeat itself, but for digits: probes are logged ten times a second."""
    shapes, kept = [re.sub(r"\d+", "0", line) for line in lines], list(lines)
    for period in range(1, len(lines) // 2 + 1):
        times = 1
        while (
            len(shapes) >= 2 * period and shapes[-period:] == shapes[-2 * period : -period]
        ):  # the last is kept: it has the newest time
            del shapes[-2 * period : -period], kept[-2 * period : -period]
            times += 1
        if times > 1:
            kept.append(f"({f'the last {period} lines' if period > 1 else 'this line'} {times} times)")
            return kept
    return kept
