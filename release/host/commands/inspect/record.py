"""Say what was done to the application on this host, by whom and when: the last entries of its journal."""

from dataclasses import asdict

from release.host.control.session import Session
from release.host.disk import journal, releases
from release.host.disk.layout import Layout
from release.host.processes.circus_ini import Supervisor
from release.host.request import Journal, Note


def run(layout: Layout, request: Journal, _circus: Supervisor, _session: Session) -> dict[str, object]:
    """The last `lines` entries, oldest first; nothing is repaired, and no lock is taken."""
    entries = journal.shown(journal.read(layout.journal))
    return {"app": layout.app, "entries": [asdict(entry) for entry in entries[-request.lines :]]}


def note(layout: Layout, request: Note, _circus: Supervisor, _session: Session) -> dict[str, object]:
    """Write that a command was given which does nothing through the agent."""
    journal.note(layout.journal, request.what, request.by, releases.current(layout))
    return {"app": layout.app}
