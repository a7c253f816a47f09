"""Say what a deploy or a rollback would do on this host; nothing is touched."""

from collections.abc import Iterator
from dataclasses import asdict

from release.host.commands.deploy import agree
from release.host.commands.releases import history
from release.host.control.session import Session
from release.host.disk import file_cache, journal, releases
from release.host.disk.layout import Layout
from release.host.disk.manifest import File, ReleaseSpec
from release.host.install import interpreter, release_folder
from release.host.install.interpreter import Interpreter
from release.host.processes import health
from release.host.processes.circus_ini import Supervisor
from release.host.request import AnyChange


def plan(layout: Layout, change: AnyChange, circus: Supervisor, session: Session) -> dict[str, object]:
    """The result of a change that is only planned: its steps as sentences."""
    spec, assigned = agree.agree(layout, change, circus, session)
    content = spec.content
    python = interpreter.find(layout, content.python) if content.files else interpreter.own()
    if assigned.unchanged:
        lines = [f"Nothing: {content.project} {content.version} runs already, with this configuration"]
    elif not content.files:
        lines = [
            f"Keep the configuration for the first deploy: {', '.join(sorted(content.config)) or 'nothing'}"
        ]
    else:
        file = release_folder.select_file(content.files, python)
        lines = [
            *_install(layout, spec, file, python),
            *(["Answer 503 until all hosts serve it"] if change.maintenance else []),
            *_start(layout, spec, runs_release_phase=change.release_phase and not assigned.joins),
            *_prune(layout, spec, change.keep),
        ]
    same = release_folder.same_content(layout, content, python)
    artifact = asdict(releases.read_manifest(layout, same).artifact) if same else None
    result = {"unchanged": assigned.unchanged, "version": content.version, "release": spec.number}
    return {**result, "artifact": artifact, "plan": lines}


def _install(layout: Layout, spec: ReleaseSpec, file: File, python: Interpreter) -> Iterator[str]:
    content = spec.content
    if spec.origin:
        yield f"Go back to release {spec.origin}: {content.project} {content.version}, as configured then"
    if not file_cache.path(layout, file).exists():
        yield f"Fetch {file.filename}, and what it needs and is not here yet"
    version = f" and Python {python.version}" if content.python else ""
    yield f"Install it as release {spec.number} with {content.installer}{version}"
    current = releases.current(layout)
    names = history.changed_names(releases.read_env(layout, current) if current else {}, content.environment)
    if names:
        yield f"Give it another configuration: {', '.join(names)}"


def _start(layout: Layout, spec: ReleaseSpec, *, runs_release_phase: bool) -> Iterator[str]:
    if runs_release_phase:
        yield "Run the command `release` of its Procfile, if there is one (here only: the first host)"
    before = releases.active(layout)
    beside = f" beside release {before}" if before else ""
    yield f"Start it{beside}, and wait for a good answer to {health.request(spec.content.health)}"
    yield f"Switch to it{f', and let release {before} finish' if before else ''}"


def _prune(layout: Layout, spec: ReleaseSpec, keep: int) -> Iterator[str]:
    entries = [*journal.read(layout.journal), journal.Entry(spec.number, journal.GOOD, "", "", "")]
    gone = set(journal.prunable(entries, spec.number, keep)) & set(releases.numbers(layout))
    if gone:
        yield f"Remove release {', '.join(map(str, sorted(gone)))}"
