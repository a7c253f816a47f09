"""Remove releases that nobody goes back to, and files that no release needs."""

from packhorse.errors import PackhorseError
from release.host.control.session import Session
from release.host.disk import file_cache, journal, releases, static_files
from release.host.disk.layout import Layout
from release.host.install import installer
from release.host.processes import process_table


def prune(layout: Layout, keep: int, session: Session) -> None:
    """Remove them; what cannot be removed is a warning, and no failed deploy."""
    if releases.current(layout) is not None:
        layout.config.unlink(missing_ok=True)  # a release has it now
    prunable = journal.prunable(journal.read(layout.journal), releases.current(layout), keep)
    there = [number for number in prunable if layout.release(number).exists()]
    live = {process.release for process in process_table.find(layout)} if there else set()
    for number in there:
        try:
            with releases.unused(layout, number) as unused:
                if not unused:
                    session.warn(
                        f"Release {number} stays: a one-off runs with it, or something holds its READY"
                    )
                elif number not in live:
                    releases.remove(layout, number)
        except OSError as error:
            session.warn(f"Release {number} could not be removed: {error}")
    try:
        needed = {
            sha for number in releases.ready(layout) for sha in releases.read_manifest(layout, number).files
        }
        installer.prune_cache(layout, file_cache.prune(layout, needed))
        static_files.publish(layout)
    except (PackhorseError, OSError) as error:
        session.warn(f"Old files could not be removed: {error}")
