"""The journal in, the disk without what nobody goes back to out."""

from release.host import cache, installer, journal, processes, state
from release.host.layout import Layout
from release.host.session import Session


def prune(layout: Layout, keep: int, session: Session) -> None:
    """Remove releases and files that nobody needs. Whatever cannot be removed is no failed deploy."""
    expendable = journal.expendable(journal.read(layout.journal), state.current(layout), keep)
    there = [number for number in expendable if layout.release(number).exists()]
    live = {process.release for process in processes.find(layout)} if there else set()
    for number in there:
        if number not in live:
            try:
                state.remove(layout, number)
            except OSError as error:
                session.warn(f"Release {number} could not be removed: {error}")
    try:
        kept = {sha for number in _ready(layout) for sha in state.read_manifest(layout, number).files}
        installer.forget(layout, cache.sweep(layout, kept))
    except OSError as error:
        session.warn(f"Old files could not be removed: {error}")


def _ready(layout: Layout) -> list[int]:
    return [number for number in state.numbers(layout) if state.is_ready(layout, number)]
