"""A request in, the new release serving out: the order of a deploy on one host."""

import contextlib
import time
from pathlib import Path

from packhorse import files
from packhorse.errors import PackhorseError
from release.host import health, install, journal, launch, reconcile, state, supervisor
from release.host.layout import Layout
from release.host.request import Deploy, File
from release.host.session import Session, StoppedError

# How long the public socket may take to show what the private one has shown already.
VERIFY_TIMEOUT = 5.0


def deploy(
    layout: Layout, wanted: Deploy, circus: supervisor.Supervisor, session: Session
) -> dict[str, object]:
    """Deploy `wanted`; the lock is held. Whatever fails, a release that served before serves on.

    A failure before the switch takes the new watchers away, a failure after it switches back.
    """
    configure(layout, wanted.bind, circus)
    reconcile.run(layout, circus)
    if not circus.running():
        supervisor.check_free(wanted.bind)
    session.safe_point()
    file = install.candidate(wanted.files)
    before = state.wanted(layout)
    if before is not None and _is_same(layout, before, wanted, file) and _healthy(layout, before):
        return {"unchanged": True, **describe(layout, before)}
    number = journal.next_number(journal.read(layout.journal), state.numbers(layout))
    install.install(layout, number, wanted, file, session)
    try:
        session.step("start", f"Starting release {number}" + (f" beside {before}" if before else ""))
        _start(layout, circus, number)
        session.step("probe", f"Probing GET {wanted.health.path} on its private socket")
        _probe(layout, circus, number, session)
        session.safe_point()
    except (PackhorseError, OSError) as failure:
        _give_up(layout, circus, number, wanted, failure)
        raise
    previous = state.current(layout)
    try:
        session.step("switch", f"Switching to release {number}")
        state.switch(layout, number)
        session.step("drain", "Letting the old release finish" if before else "No old release to drain")
        reconcile.apply(layout, circus, [number])
        session.step("verify", "Asking through the public socket")
        verify(layout, number)
    except (PackhorseError, OSError) as failure:
        _switch_back(layout, circus, previous, session)
        _give_up(layout, circus, number, wanted, failure)
        raise
    session.step("commit", "Recording")
    layout.stopped.unlink(missing_ok=True)
    _record(layout, number, wanted, journal.GOOD)
    session.step("prune", "Removing old releases")
    prune(layout, wanted.keep, session)
    return {"unchanged": False, "previous": before, **describe(layout, number)}


def configure(layout: Layout, bind: supervisor.Bind, circus: supervisor.Supervisor) -> None:
    """Write circus.ini. Raises PackhorseError when it has to change under a running circusd."""
    text = supervisor.circus_text(layout, bind)
    present = layout.circus_ini.read_text() if layout.circus_ini.exists() else None
    if text == present:
        return
    if present is not None and circus.running():
        raise PackhorseError(
            f"{layout.app} cannot move from {address_text(layout, supervisor.bind_of(present))} "
            f"to {address_text(layout, bind)} while it runs.",
            "Run: release stop local, then deploy again.",
        )
    files.write_whole(layout.circus_ini, text.encode())


def _is_same(layout: Layout, number: int, wanted: Deploy, file: File) -> bool:
    """Whether release `number` has the same code and the same configuration as `wanted`."""
    present = state.read_manifest(layout, number)
    return (
        (present.sha256, present.installer, present.health, present.graceful_timeout)
        == (file.sha256, wanted.installer, wanted.health, wanted.graceful_timeout)
    ) and state.read_env(layout, number) == wanted.env


def _healthy(layout: Layout, number: int) -> bool:
    return health.probe(layout.probe(number), state.read_manifest(layout, number).health).healthy


def _start(layout: Layout, circus: supervisor.Supervisor, number: int) -> None:
    """Start release `number` beside the one that should run."""
    before = state.wanted(layout)
    reconcile.apply(layout, circus, [number] if before is None else [before, number])


def _probe(layout: Layout, circus: supervisor.Supervisor, number: int, session: Session) -> None:
    """Wait until release `number` is healthy. Raises PackhorseError with the last answer and log lines."""
    manifest = state.read_manifest(layout, number)
    name = supervisor.watcher_name("web", number)
    try:
        health.wait(layout.probe(number), manifest.health, lambda: circus.pids(name), session.pause)
    except health.UnhealthyError as reason:
        log = supervisor.tail(layout.log(name)) or "(it wrote nothing)"
        raise PackhorseError(
            f"{manifest.project} {manifest.version} (release {number}) is not healthy: {reason}",
            _advice(manifest.processes["web"], layout.log(name)),
            detail=f"Last lines of its log:\n{log}",
        ) from None


def _advice(command: str, log: Path) -> str:
    if launch.is_compound(command) and "exec " not in command:
        return "Write `exec` before the server in the Procfile: it does not get its sockets through a shell."
    return f"Correct it, upload a new version and deploy that; the whole log is {log}"


def verify(layout: Layout, number: int) -> None:
    """Ask through the public socket. Raises PackhorseError when no good answer comes."""
    manifest = state.read_manifest(layout, number)
    deadline = time.monotonic() + VERIFY_TIMEOUT
    address = public_address(layout)
    while not (answer := health.probe(address, manifest.health)).healthy:
        if time.monotonic() > deadline:
            raise PackhorseError(
                f"{manifest.project} {manifest.version} answers on its private socket, but in public: "
                f"{answer.text}",
                "Let the Procfile's server take its sockets from LISTEN_FDS, without an address of its own.",
            )
        time.sleep(manifest.health.interval)


def public_address(layout: Layout) -> health.Address:
    """Where users come in; a wildcard is asked over loopback."""
    bind = supervisor.bind_of(layout.circus_ini.read_text())
    if bind is None:
        return layout.web
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind[0], bind[0]), bind[1]  # noqa: S104  # compared, not bound


def address_text(layout: Layout, bind: supervisor.Bind) -> str:
    """`bind` as people read it: a URL, or the path of the unix socket."""
    if bind is None:
        return str(layout.web)
    host = f"[{bind[0]}]" if ":" in bind[0] else bind[0]
    return f"http://{host}:{bind[1]}"


def describe(layout: Layout, number: int) -> dict[str, object]:
    """What a result says about release `number`."""
    manifest = state.read_manifest(layout, number)
    return {
        "app": layout.app,
        "release": number,
        "project": manifest.project,
        "version": manifest.version,
        "url": address_text(layout, supervisor.bind_of(layout.circus_ini.read_text())),
    }


def _switch_back(
    layout: Layout, circus: supervisor.Supervisor, previous: int | None, session: Session
) -> None:
    """Make `previous` the release that should run again; it comes up beside the new one first."""
    session.step("switch", f"Switching back to release {previous}" if previous else "Taking the release away")
    new = state.current(layout)
    state.switch(layout, previous)
    back = state.wanted(layout)
    if back is None or back == new:
        return
    reconcile.apply(layout, circus, [back] if new is None else [back, new])
    name = supervisor.watcher_name("web", back)
    with contextlib.suppress(health.UnhealthyError):  # it goes on trying: the new one is worse
        wanted = state.read_manifest(layout, back).health
        health.wait(layout.probe(back), wanted, lambda: circus.pids(name), time.sleep)


def _give_up(
    layout: Layout,
    circus: supervisor.Supervisor,
    number: int,
    wanted: Deploy,
    failure: PackhorseError | OSError,
) -> None:
    """Take the watchers of release `number` away and remember why; one that was stopped leaves nothing."""
    serving = state.wanted(layout)
    reconcile.apply(layout, circus, [] if serving is None else [serving])
    if isinstance(failure, StoppedError):
        state.remove(layout, number)
    else:
        _record(layout, number, wanted, journal.FAILED, str(failure))
        prune(layout, wanted.keep, None)


def _record(layout: Layout, number: int, wanted: Deploy, outcome: str, reason: str = "") -> None:
    entry = journal.Entry(number, outcome, wanted.version, wanted.by, journal.now(), reason)
    journal.append(layout.journal, entry)


def prune(layout: Layout, keep: int, session: Session | None) -> None:
    """Remove releases that nobody goes back to; one that cannot be removed is no failed deploy."""
    for number in journal.expendable(journal.read(layout.journal), state.current(layout), keep):
        if layout.release(number).exists():
            try:
                state.remove(layout, number)
            except OSError as error:
                if session:
                    session.step("prune", f"Release {number} could not be removed: {error}")
