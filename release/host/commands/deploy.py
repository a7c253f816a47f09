"""A request in, the new release serving out: the order of a deploy on one host."""

import concurrent.futures
from dataclasses import dataclass

from packhorse.errors import PackhorseError
from release.host.commands import history, preflight, prune, reconcile, release_phase, switch
from release.host.control.session import Session, StoppedError
from release.host.disk import journal, releases
from release.host.disk.layout import Layout
from release.host.install import release_folder
from release.host.processes import circus_ini, public_address, readiness, watchers
from release.host.request import Deploy, Options


class RevertedError(PackhorseError):
    """The release is healthy here, but must not stay."""


@dataclass(frozen=True)
class Rollout:
    """Makes `wanted` serve; the lock is held."""

    layout: Layout
    wanted: Deploy
    how: Options
    circus: circus_ini.Supervisor
    session: Session

    def run(self) -> dict[str, object]:
        """Deploy. Whatever fails, a release that served before serves on.

        A failure before the switch takes the new processes away, a failure after it switches back: the old
        release stops when the new one is for good, on all hosts.
        """
        layout, wanted, circus, session = self.layout, self.wanted, self.circus, self.session
        public_address.configure(layout, wanted.bind, circus)
        reconcile.run(layout, circus)
        release_phase.check(layout, self.how)
        session.step("preflight", "Looking at the disk and at circus")
        preflight.check(layout, wanted, circus)
        session.safe_point()
        file = release_folder.candidate(wanted.files)
        before, previous = releases.wanted(layout), releases.current(layout)
        if before and history.is_same(layout, before, wanted, file) and readiness.is_healthy(layout, before):
            return {"unchanged": True, "reverted": False, **public_address.describe(layout, before)}
        number = journal.next_number(journal.read(layout.journal), releases.numbers(layout))
        release_folder.install(layout, number, wanted, file, session)
        written = releases.Sync(layout)
        try:
            session.gate("start", release=number, version=wanted.version, sha256=file.sha256)
            release_phase.run(layout, number, self.how, session)
            session.step("start", f"Starting release {number}" + (f" beside {before}" if before else ""))
            early = watchers.early(layout, number)
            watchers.apply(layout, circus, watchers.of(layout, before) | early)
            session.step("probe", f"Probing GET {wanted.health.path} on its own socket")
            readiness.await_answer(layout, circus, number, session.pause)
            readiness.await_up(layout, circus, early - watchers.web(layout, number), session.pause)
            written.wait()
            session.safe_point()
        except (PackhorseError, OSError) as failure:
            self._give_up(number, failure)
            raise
        try:
            session.step("switch", f"Switching to release {number}")
            self._record(number, journal.TRIAL)
            switch.forth(layout, number)
            switch.complete(layout, circus, before, number)
            session.step("verify", "Asking through the public address")
            public_address.verify(layout, number)
            self._await_verdict(number)
            session.step("commit", "Recording")
            layout.stopped.unlink(missing_ok=True)
            self._record(number, journal.GOOD)
        except (PackhorseError, OSError) as failure:
            self._go_back(number, before, previous, failure)
            if not isinstance(failure, RevertedError):
                raise
            told = {"unchanged": False, "reverted": True, "reason": failure.message}
            return {**told, **public_address.describe(layout, previous)}
        self._let_finish(before, number)
        told = {"unchanged": False, "reverted": False, "previous": before}
        return {**told, **public_address.describe(layout, number)}

    def _let_finish(self, before: int | None, number: int) -> None:
        """Stop release `before`, and remove what nobody goes back to while it works on what it has.

        Both are no reason to go back any more: the next command does what could not be done.
        """
        layout, session = self.layout, self.session
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            session.step("prune", "Removing old releases")
            pruned = pool.submit(prune.prune, layout, self.wanted.keep, session)
            session.step("drain", "Letting the old release finish" if before else "No old release to drain")
            try:
                switch.finish(layout, self.circus, before, number)
            except (PackhorseError, OSError) as error:
                session.warn(f"What ran before was not stopped: {error}")
            pruned.result()

    def _await_verdict(self, number: int) -> None:
        """Whether the release may stay is decided by what became of it on the other hosts."""
        try:
            self.session.gate("verdict", release=number, version=self.wanted.version)
        except StoppedError:
            raise RevertedError(self.session.controller.reason, "Look at the other hosts.") from None

    def _go_back(
        self, number: int, before: int | None, previous: int | None, failure: PackhorseError | OSError
    ) -> None:
        """Make `previous` the release that runs; `before` is None if it did not, because it was stopped."""
        text = f"Switching back to release {previous}" if previous else "Taking it away"
        self.session.step("revert", text)
        if previous and not before:
            self.layout.stopped.touch()
        switch.back(self.layout, self.circus, previous)
        self._give_up(number, failure)

    def _give_up(self, number: int, failure: PackhorseError | OSError) -> None:
        """Take the processes of release `number` away and remember why; a stop leaves nothing of it."""
        layout = self.layout
        watchers.apply(layout, self.circus, watchers.of(layout, releases.wanted(layout)))
        if isinstance(failure, StoppedError) and not release_phase.has_begun(layout, number):
            releases.remove(layout, number)
        else:
            self._record(number, journal.FAILED, str(failure))
            prune.prune(layout, self.wanted.keep, self.session)

    def _record(self, number: int, outcome: str, reason: str = "") -> None:
        wanted = self.wanted
        if wanted.origin and not reason:
            reason = f"back to the content of release {wanted.origin}"
        before = journal.last_good(journal.read(self.layout.journal))
        changed = history.changed(self.layout, before, number)
        entry = journal.Entry(number, outcome, wanted.version, wanted.by, journal.now(), reason, changed)
        journal.append(self.layout.journal, entry)
