"""Deploy or roll back on one host: the order of the work, from the lock to the last drained request."""

import concurrent.futures
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace

from packhorse.errors import PackhorseError
from release.host.commands.deploy import agree, checks, plan, preflight, prune, release_phase
from release.host.commands.processes import jobs
from release.host.commands.releases import configuration, history, reconcile, switch
from release.host.control.session import Session, StoppedError
from release.host.disk import journal, lock, releases, scale
from release.host.disk.layout import Layout
from release.host.disk.manifest import ReleaseSpec
from release.host.install import integrity, interpreter, release_folder
from release.host.processes import circus_ini, health, maintenance, public_address, readiness, watchers
from release.host.request import AnyChange, Configure, Deploy


class RevertedError(PackhorseError):
    """The release is healthy here, but must not stay."""


def run(
    layout: Layout, change: AnyChange, circus: circus_ini.Supervisor, session: Session
) -> dict[str, object]:
    """Deploy, roll back, configure, or only plan it. Whatever fails, a release that served before serves on.

    A failure before the switch takes the new processes away, a failure after it switches back: the old
    release stops when the new one is for good, on all hosts.
    """
    if change.plan:
        return plan.plan(layout, change, circus, session)
    releases.create_folders(layout)
    session.gate("lock")
    version = f" of {change.content.version}" if isinstance(change, Deploy) else ""
    command = f"{type(change).__name__.lower()}{version}"
    with lock.held(layout, command, change.by, change.lock_wait, session):
        _warn_of_one_user(layout, change, session)
        if isinstance(change, Configure) and releases.current(layout) is None:
            spec, assigned = agree.agree(layout, change, circus, session)
            if not spec.content.files:  # no host has a release
                return configuration.keep(layout, spec, session)
            bind = _prepare(layout, change, circus)
        else:
            bind = _prepare(layout, change, circus)
            spec, assigned = agree.agree(layout, change, circus, session)
        before = releases.active(layout)
        if assigned.unchanged:
            jobs.settle(layout, change, session)
            return {"unchanged": True, "reverted": False, **public_address.as_result(layout, before)}
        if assigned.scale and not layout.scale.exists():
            scale.write(layout, scale.Scale.of_json(assigned.scale))
        session.step("preflight", "Looking at the disk and at circus")
        python = interpreter.find(layout, spec.content.python)
        preflight.check(layout, spec.content, python, bind, circus)
        jobs.check(layout, change, spec.content, session)
        session.safe_point()
        # A host that catches up with others: the release phase has been run, for all of them.
        change = replace(change, release_phase=change.release_phase and not assigned.joins)
        return _Rollout(layout, change, spec, python, circus, session, before).run()


def _warn_of_one_user(layout: Layout, change: AnyChange, session: Session) -> None:
    if change.supervised and not layout.separate:
        session.warn(
            f"{layout.app} runs as the user that deploys, and may change its releases. Let a user of its "
            f"own run it: release provision, then systemctl restart packhorse@{layout.app}."
        )


def _prepare(layout: Layout, change: AnyChange, circus: circus_ini.Supervisor) -> circus_ini.Bind:
    """Repair what a killed command left. Return where to listen."""
    bind = _bind(layout, change)
    public_address.configure(layout, bind, circus)
    reconcile.run(layout, circus)
    if current := releases.current(layout):
        scale.settle(layout, current)
    release_phase.check(layout, change)
    return bind


def _bind(layout: Layout, change: AnyChange) -> circus_ini.Bind:
    """Address to listen on, which only a deploy changes."""
    if isinstance(change, Deploy):
        return change.bind
    if not layout.circus_ini.exists():
        releases.require_current(layout)
    return circus_ini.bind_of(layout.circus_ini.read_text())


@dataclass(frozen=True)
class _Rollout:
    """Makes the release of `spec` serve after release `before`, None if nothing served; the lock is held."""

    layout: Layout
    change: AnyChange
    spec: ReleaseSpec
    python: interpreter.Interpreter
    circus: circus_ini.Supervisor
    session: Session
    before: int | None

    def run(self) -> dict[str, object]:
        """Install, start, probe, switch, verify, await the verdict, commit, drain."""
        layout, number = self.layout, self.spec.number
        previous = releases.current(layout)
        file = release_folder.select_file(self.spec.content.files, self.python)
        release_folder.install(layout, self.spec, file, self.python, self.session)
        written = releases.Sync(layout)
        try:
            answer = self._start(written)
        except (PackhorseError, OSError) as failure:
            self._give_up(failure)
            raise
        try:
            self._switch(answer)
            self._await_verdict()
            self.session.step("commit", "Recording")
            layout.stopped.unlink(missing_ok=True)
            self._record(journal.GOOD)
        except (PackhorseError, OSError) as failure:
            self._go_back(previous, failure)
            if not isinstance(failure, RevertedError):
                raise
            outcome = {"unchanged": False, "reverted": True, "reason": failure.message}
            return {**outcome, **public_address.as_result(layout, previous)}
        jobs.settle(layout, self.change, self.session)
        self._drain()
        self._say_what_does_not_run()
        outcome = {"unchanged": False, "reverted": False, "previous": self.before}
        return {**outcome, **public_address.as_result(layout, number)}

    def _start(self, written: releases.Sync) -> str:
        """Start the release beside the one that serves, and probe it; return what it answered."""
        layout, circus, session, before = self.layout, self.circus, self.session, self.before
        number, content = self.spec.number, self.spec.content
        digest = content.digest(self.change.key, releases.read_manifest(layout, number).artifact)
        if self.change.maintenance and not layout.maintenance.exists():
            session.step("maintain", "Answering 503 until the deploy has ended")
            maintenance.write(layout, maintenance.State.of_deploy(self.change.by, number))
            switch.run_active(layout, circus)
        session.gate("start", release=number, version=content.version, digest=digest)
        release_phase.run(layout, number, self.change, circus, session)
        session.step("start", f"Starting release {number}" + (f" beside {before}" if before else ""))
        early = watchers.overlapping(layout, number)
        watchers.apply(layout, circus, watchers.of(layout, before) | early)
        session.step("probe", f"Probing its own socket: {health.request(content.health)}")
        answer = readiness.await_answer(layout, circus, watchers.web(layout, number), session.pause)
        self._check(early - watchers.web(layout, number))
        written.wait()
        session.gate("switch")
        session.safe_point()
        return answer

    def _switch(self, answer: str) -> None:
        """Let the release serve, on trial, and ask it through the public address."""
        layout, session, number = self.layout, self.session, self.spec.number
        session.step("switch", f"{answer}: switching to release {number}")
        self._record(journal.TRIAL)
        switch.activate(layout, number)
        switch.start_remaining(layout, self.circus, self.before, number, self._check_late)
        if scale.serves(layout, number):
            session.step("verify", "Asking through the public address")
            public_address.verify(layout, number)

    def _check(self, started: Collection[watchers.Watcher]) -> None:
        """Wait until processes without a socket are ready."""
        checks.await_ready(self.layout, self.circus, started, self.change.checks, self.session)

    def _check_late(self, started: Collection[watchers.Watcher]) -> None:
        """The same after the switch, when a stop leads back."""
        try:
            self._check(started)
        except StoppedError:
            raise RevertedError(self.session.controller.reason, "Look at the other hosts.") from None

    def _await_verdict(self) -> None:
        """Whether the release may stay is decided by what became of it on the other hosts."""
        try:
            self.session.gate("verdict", release=self.spec.number)
        except StoppedError:
            raise RevertedError(self.session.controller.reason, "Look at the other hosts.") from None

    def _drain(self) -> None:
        """Stop the release before, and remove what nobody goes back to while it works on what it has.

        Both are no reason to go back any more: the next command does what could not be done.
        """
        layout, session, before = self.layout, self.session, self.before
        # Where another user runs the processes, they cannot have written there.
        if before and not layout.separate and (left := integrity.added(layout, before)):
            more = f" and {len(left) - 1} more" if len(left) > 1 else ""
            session.warn(
                f"Release {before} has files that {layout.app} wrote, and that the new release does not see: "
                f"{layout.release(before) / left[0]}{more}. Move them to $DATA_DIR ({layout.data})."
            )
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            session.step("prune", "Removing old releases")
            pruned = pool.submit(prune.prune, layout, self.change.keep, session)
            session.step("drain", "Letting the old release finish" if before else "No old release to drain")
            try:
                maintenance.end_of_deploy(layout)
                switch.reopen(layout, self.spec.number)
                switch.drain(layout, self.circus, before, self.spec.number)
            except (PackhorseError, OSError) as error:
                session.warn(f"What ran before was not stopped: {error}")
            pruned.result()

    def _say_what_does_not_run(self) -> None:
        """Say which process types of the release have no process here, and how to start them."""
        scaled, target = scale.read(self.layout), self.change.target_name
        for process in releases.read_manifest(self.layout, self.spec.number).running:
            if process in scaled.stopped:
                self.session.warn(f"{process} stays stopped. Start it: release ps start {target} {process}")
            elif scaled.is_new(process):
                self.session.warn(
                    f"{process} is new, and has no process yet. Start one: release scale {target} {process}=1"
                )

    def _go_back(self, previous: int | None, failure: PackhorseError | OSError) -> None:
        """Make `previous` the current release; it starts unless it was stopped before."""
        text = f"Switching back to release {previous}" if previous else "Taking it away"
        self.session.step("revert", text)
        if previous and not self.before:
            self.layout.stopped.touch()
        switch.roll_back(self.layout, self.circus, previous)
        self._give_up(failure)

    def _give_up(self, failure: PackhorseError | OSError) -> None:
        """Take the processes of the release away and remember why; a stop leaves nothing of it."""
        layout, number = self.layout, self.spec.number
        maintenance.end_of_deploy(layout)
        switch.run_active(layout, self.circus)
        if isinstance(failure, StoppedError) and not release_phase.has_begun(layout, number):
            releases.remove(layout, number)
        else:
            self._record(journal.FAILED, str(failure))
            prune.prune(layout, self.change.keep, self.session)

    def _record(self, outcome: str, reason: str = "") -> None:
        spec = self.spec
        before = journal.last_good(journal.read(self.layout.journal))
        changed = history.changed(self.layout, before, spec.number)
        version = spec.content.version
        artifact = asdict(releases.read_manifest(self.layout, spec.number).artifact)
        entry = journal.Entry(
            spec.number, outcome, version, spec.by, journal.now(), reason or spec.reason, changed, artifact
        )
        journal.append(self.layout.journal, entry)
