"""Examine a project before it is built and uploaded: settings, Procfile, lock, git, wheel, index, login."""

from collections.abc import Iterator
from pathlib import Path

from packhorse.errors import PackhorseError
from release import context as contexts
from release import credentials, index
from release.build import contents, lock, project_files, source_tree
from release.context import Context
from release.doctor.report import attempt
from release.host.commands.inspect.doctor import FAILED, OK, WARNING, CheckResult
from release.host.formats import artifact, lockfile, procfile
from release.upload import twine


def checks(project: Path, index_option: str | None) -> Iterator[CheckResult]:
    """All checks of the project in folder `project`, whose settings are valid; `index_option` goes first."""
    yield attempt("pyproject.toml", lambda: _pyproject(project))
    yield attempt("Procfile", lambda: _procfile(project))
    try:
        context = contexts.of_project(project, index_option)
    except PackhorseError as error:
        yield CheckResult("index", FAILED, error.message, error.hint)
        return
    reached = attempt("index", lambda: _index(context))
    yield reached
    yield _login(context)
    if (project / procfile.NAME).exists():  # the dependencies of a library are not locked
        yield _lock(project, context, reached=reached.state == OK)
    source = source_tree.commit(project, context.run)
    yield _git(source)
    yield from _wheel(project, context, source)


def _pyproject(project: Path) -> str:
    table = source_tree.pyproject(project).get("project", {})
    version = table.get("version") or "a version that the build computes"
    if not table.get("name"):
        raise PackhorseError(
            "It has no name in [project].", "Write one, or let `release new` begin a project."
        )
    return f"{table['name']}, {version}"


def _procfile(project: Path) -> str:
    path = project / procfile.NAME
    if not path.exists():
        return "there is none: a library, which is built and uploaded; for an application: release new"
    types = procfile.parse(path.read_bytes(), str(path))
    return f"{', '.join(types)}{'' if 'web' in types else ': workers only, nothing answers requests'}"


def _index(context: Context) -> str:
    index.require(context.index_url, context.get)
    return f"{context.index_url} answers"


def _login(context: Context) -> CheckResult:
    try:
        user = credentials.of_user(context.index_url, context.home, None).username
    except PackhorseError as error:  # who only deploys needs none
        return CheckResult("login", WARNING, error.message, error.hint)
    return CheckResult("login", OK, f"there is a password of {user} for uploads")


def _lock(project: Path, context: Context, *, reached: bool) -> CheckResult:
    path = project / lockfile.NAME
    if not path.exists():
        return CheckResult("lock", WARNING, f"there is no {path.name}", "release lock, and commit it")
    if not reached:
        return CheckResult(
            "lock", WARNING, "not compared with the dependencies, as the index does not answer"
        )

    def look() -> str:
        lock.committed(project, context)
        return f"{path.name} fits the dependencies"

    return attempt("lock", look)


def _git(source: source_tree.Commit) -> CheckResult:
    if source.commit is None:
        return CheckResult(
            "git", WARNING, "no commit: an artifact could not say what it was made of", "git commit"
        )
    made = f"commit {source.commit[:12]} of {source.committer}"
    if source.dirty:
        return CheckResult("git", WARNING, f"changes since {made}: the artifact will say so", "git commit")
    return CheckResult("git", OK, made)


def _wheel(project: Path, context: Context, source: source_tree.Commit) -> Iterator[CheckResult]:
    """Check the wheel that was built last: what it lacks, and whether it is of the present commit."""
    dist = project / "dist"
    wheels = [path for path in _last_built(dist) if path.suffix == ".whl"]
    if not wheels:
        yield CheckResult("wheel", WARNING, f"there is none in {dist}", "release build")
        return
    try:
        manifest = artifact.manifest(wheels[0])
        tracked = source_tree.files(project, context.run)
        beside = project_files.find(project, context.files, tracked)
        missing = [*contents.left_out(wheels[0], tracked, beside)]
        if (project / procfile.NAME).exists():
            processes = artifact.read(wheels[0]).processes
            missing += contents.warnings(wheels[0], tracked, processes, beside)
    except PackhorseError as error:
        yield CheckResult("wheel", WARNING, error.message, error.hint)
        return
    for text in missing:
        yield CheckResult("wheel", WARNING, f"{wheels[0].name}: {text}", "Correct it, then: release build")
    if manifest.commit != source.commit or manifest.dirty:
        yield CheckResult(
            "wheel", WARNING, f"{wheels[0].name} is not of the last commit alone", "release build"
        )
    elif not missing:
        yield CheckResult("wheel", OK, f"{wheels[0].name} lacks nothing")


def _last_built(dist: Path) -> list[Path]:
    try:
        return twine.last_built(dist)
    except PackhorseError:
        return []
