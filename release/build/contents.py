"""Compare a built wheel with the project's files and its Procfile: what is missing fails on a server only."""

import ast
import re
import shlex
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path, PurePosixPath

from release.host.formats import procfile

# Python files that belong to the work on a project, not into its wheel.
_WORK_FILES = {"setup.py", "conftest.py", "noxfile.py", "tasks.py", "fabfile.py", "manage.py", "dodo.py"}
_WORK_FOLDERS = {
    *("test", "tests", "testing", "doc", "docs", "example", "examples", "bench", "benchmarks", "tools"),
    *("scripts", "requirements", "ci", "build", "dist"),
}
# Files from which others are made.
_SOURCES = {
    *(
        ".c",
        ".cc",
        ".cpp",
        ".h",
        ".pyx",
        ".pxd",
        ".rs",
        ".po",
        ".pot",
        ".scss",
        ".less",
        ".ts",
        ".tsx",
        ".jsx",
    ),
    *(".md", ".rst", ".map"),
}
_SERVERS = {"gunicorn", "uvicorn", "hypercorn", "granian", "daphne", "waitress-serve", "uwsgi"}
_REFERENCE = re.compile(r"(?P<module>[A-Za-z_][\w.]*):(?P<name>[A-Za-z_]\w*)[\w.]*(\(.*\))?")


def left_out(wheel: Path, tracked: Iterable[str], beside: Collection[str] = ()) -> Iterator[str]:
    """Sentences about files of the project that are probably missing in `wheel`; none when all is well.

    `tracked` are paths of the project's files, relative to it; `beside` those in the working directory.
    """
    with zipfile.ZipFile(wheel) as archive:
        yield from _left_out(_own(tracked, beside), set(archive.namelist()))


def _own(tracked: Iterable[str], beside: Collection[str]) -> list[PurePosixPath]:
    paths = [PurePosixPath(path) for path in tracked if path not in beside]
    return [path for path in paths if not _is_of_work(path)]


def warnings(
    wheel: Path, tracked: Iterable[str], processes: Mapping[str, str], beside: Collection[str] = ()
) -> list[str]:
    """Sentences about what `processes`, the commands of a Procfile, do not find; else as `left_out`."""
    paths = [*tracked]
    with zipfile.ZipFile(wheel) as archive:
        members = set(archive.namelist())
        own = _own(paths, beside)
        return [
            *_not_beside(processes, paths, beside),
            *(
                warning
                for process, command in processes.items()
                for warning in _references(process, command, archive, members, own)
            ),
        ]


def modules(wheel: Path) -> Iterator[tuple[str, bytes]]:
    """Path and content of the Python files in `wheel`."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith(".py") and ".dist-info/" not in name:
                yield name, archive.read(name)


def _is_of_work(path: PurePosixPath) -> bool:
    hidden = any(part.startswith(".") for part in path.parts)
    return hidden or path.name in _WORK_FILES or not _WORK_FOLDERS.isdisjoint(path.parts[:-1])


def _left_out(tracked: list[PurePosixPath], members: set[str]) -> Iterator[str]:
    """Modules that are not in the wheel, and other files of packages that are; one sentence a folder."""
    tails = {_tail(PurePosixPath(name)) for name in members}
    folders = {PurePosixPath(name).parent.name for name in members if name.endswith(".py")}

    def is_missing(path: PurePosixPath) -> bool:
        if path.suffix == ".py":
            return _tail(path) not in tails
        inside = not folders.isdisjoint(path.parts[:-1])
        return inside and path.suffix not in _SOURCES and _tail(path) not in tails

    missing = sorted(path for path in tracked if is_missing(path))
    for folder, group in groupby(missing, lambda path: path.parent):
        first, *more = group
        others = f" and {len(more)} more in {folder}/" if more else ""
        yield (
            f"{first}{others} is not in the wheel." if not more else f"{first}{others} are not in the wheel."
        )


def _not_beside(
    processes: Mapping[str, str], tracked: Collection[str], beside: Collection[str]
) -> Iterator[str]:
    """Files of the project that commands name, and that will not lie where processes start."""
    named = {
        path: process for process, command in processes.items() for path in procfile.files(command, tracked)
    }
    for path, process in named.items():
        if path not in beside:
            yield (
                f"{process} in the Procfile needs {path}, which is not in its working directory: "
                f'add "{path}" to files in release.toml.'
            )


def _tail(path: PurePosixPath) -> tuple[str, ...]:
    """The last two parts: layouts (src/, lib/) come before them. A module at the root has one."""
    parts = tuple(part for part in path.parts if part not in ("src", "lib"))
    return parts[-2:]


def _references(
    process: str, command: str, archive: zipfile.ZipFile, members: set[str], tracked: list[PurePosixPath]
) -> Iterator[str]:
    """Find what `command` names of this project: modules that the wheel lacks, names that none defines."""
    for module, name in _named(command):
        files = [f"{module.replace('.', '/')}.py", f"{module.replace('.', '/')}/__init__.py"]
        found = next((file for file in files if file in members), None)
        if found is None:
            if any(_tail(PurePosixPath(file)) in {_tail(path) for path in tracked} for file in files):
                yield f"{process} in the Procfile needs {module}, which is not in the wheel."
        elif name and not _defines(archive.read(found), name):
            yield f"{process} in the Procfile needs {name} in {module}, which does not define it."


def served(wheel: Path, commands: Iterable[str]) -> list[str]:
    """The modules in `wheel` that servers import (`module:name`), by the `commands` of a Procfile."""
    with zipfile.ZipFile(wheel) as archive:
        members = set(archive.namelist())
    named = {module for command in commands for module, name in _named(command) if name}
    files = {name: name.replace(".", "/") for name in sorted(named)}
    return [name for name, path in files.items() if members & {f"{path}.py", f"{path}/__init__.py"}]


def _named(command: str) -> Iterator[tuple[str, str | None]]:
    """(module, name) of each `module:name` of a known server, (module, None) of each `python -m module`."""
    words = shlex.split(command)
    serves = any(word.rpartition("/")[2] in _SERVERS for word in words)
    for before, word in zip(["", *words], words, strict=False):
        if before == "-m" and re.fullmatch(r"[A-Za-z_][\w.]*", word):
            yield word, None
        elif serves and (matched := _REFERENCE.fullmatch(word)):
            yield matched["module"], matched["name"]


def _defines(source: bytes, name: str) -> bool:
    """Whether a module binds `name` at its top level; a module that cannot be told from reading does."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return True
    for node in _top_level(tree.body):
        match node:
            case ast.FunctionDef(name=bound) | ast.AsyncFunctionDef(name=bound) | ast.ClassDef(name=bound):
                if bound in (name, "__getattr__"):
                    return True
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                if {alias.asname or alias.name.partition(".")[0] for alias in aliases} & {name, "*"}:
                    return True
            case _:
                stored = (one.id for one in ast.walk(node) if isinstance(one, ast.Name))
                if name in stored or "globals" in ast.unparse(node):
                    return True
    return False


def _top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run when the module is imported, without the bodies of functions and classes."""
    for statement in body:
        yield statement
        for field in ("body", "orelse", "finalbody", "handlers"):
            if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = getattr(statement, field, [])
                yield from _top_level([one for one in inner if isinstance(one, ast.stmt)])
                for handler in (one for one in inner if isinstance(one, ast.ExceptHandler)):
                    yield from _top_level(handler.body)
