"""A request in, what it would do as sentences out; nothing is touched."""

from collections.abc import Iterator

from release.host.commands import history
from release.host.disk import file_cache, journal, releases
from release.host.disk.file_cache import File
from release.host.disk.layout import Layout
from release.host.install import release_folder
from release.host.processes import readiness
from release.host.request import Deploy, Options


def plan(layout: Layout, wanted: Deploy, how: Options) -> dict[str, object]:
    """The result of a deploy or a rollback that is only planned."""
    file = release_folder.candidate(wanted.files)
    before = releases.wanted(layout)
    if before and history.is_same(layout, before, wanted, file) and readiness.is_healthy(layout, before):
        lines = [f"Nothing: {wanted.project} {wanted.version} runs already, with this configuration"]
        return {"unchanged": True, "version": wanted.version, "release": before, "plan": lines}
    number = journal.next_number(journal.read(layout.journal), releases.numbers(layout))
    lines = [
        *_install(layout, wanted, file, number),
        *_start(wanted, how, before),
        *_prune(layout, wanted, number),
    ]
    return {"unchanged": False, "version": wanted.version, "release": number, "plan": lines}


def _install(layout: Layout, wanted: Deploy, file: File, number: int) -> Iterator[str]:
    if not file_cache.path(layout, file).exists():
        yield f"Fetch {file.filename}, and what it needs and is not here yet"
    yield f"Install it as release {number} with {wanted.installer}"
    current = releases.current(layout)
    names = history.changed_names(releases.read_env(layout, current) if current else {}, wanted.env)
    if names:
        yield f"Give it another configuration: {', '.join(names)}"


def _start(wanted: Deploy, how: Options, before: int | None) -> Iterator[str]:
    if how.release_phase:
        yield "Run the command `release` of its Procfile, if there is one"
    beside = f" beside release {before}" if before else ""
    yield f"Start it{beside}, and wait for a good answer to GET {wanted.health.path}"
    yield f"Switch to it{f', and let release {before} finish' if before else ''}"


def _prune(layout: Layout, wanted: Deploy, number: int) -> Iterator[str]:
    entries = [*journal.read(layout.journal), journal.Entry(number, journal.GOOD, "", "", "")]
    gone = set(journal.expendable(entries, number, wanted.keep)) & set(releases.numbers(layout))
    if gone:
        yield f"Remove release {', '.join(map(str, sorted(gone)))}"
