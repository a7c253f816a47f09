"""Write the files that a project needs to be released, as far as it has none; those that are there stay."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from packhorse import toml
from packhorse.errors import PackhorseError
from release.host.formats import procfile
from release.new import application, dependencies
from release.new.application import ASGI, Application, Sources

PYPROJECT, MANIFEST_IN, SETTINGS = "pyproject.toml", "MANIFEST.in", "release.toml"
GITIGNORE = ".gitignore"
# Files that people run or read in the working directory.
_BESIDE = ("manage.py", "alembic.ini", "gunicorn.conf.py")
# Folders beside a module that it reads files from.
_DATA = ("static", "templates", "migrations", "locale", "translations")

_PYPROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = {name}
version = "0.1.0"  # raise it for each release: a version is uploaded once
requires-python = ">=3.11"
dependencies = [  # {origin}; `release build` locks their versions
{dependencies}
]

# What goes into the wheel. All that the application reads has to lie inside.
[tool.setuptools]
py-modules = {modules}

[tool.setuptools.packages.find]
where = {where}
include = {packages}
"""
_WEB = """\
# How to run the application: a process type, a colon, a command. Programs of the release are found first.

# web serves requests on the socket that it inherits: {reference}, which speaks {interface}.
web: {command}
"""
_RELEASE = """
# release runs once, on the first host, before a new version starts.
release: python -m django migrate --noinput --settings {settings}
"""
_WORKER = """
# worker runs beside web. The old one ends before the new one starts.
worker: celery -A {celery} worker
"""
_MANIFEST_IN = """\
# Files of the sdist besides Python modules. The wheel is made of it, and has those that lie in packages.
{folders}global-exclude __pycache__ *.py[co]
"""
_GITIGNORE = """\
# What is made from the other files, and .env, which may have secrets.
dist/
*.egg-info/
__pycache__/
.venv/
.env
"""
_SETTINGS = """\
# Settings of `release`; release.example.toml of Packhorse shows all of them with their defaults.

app = {app}  # its name on the hosts
# The company index, which has its own packages and the public ones; default: the mirror on this machine.
{index}
{files}
[health]
{health_path}

[targets.local]  # this machine: release deploy local
bind = "127.0.0.1:8000"

# Servers, reached by ssh: release provision production, then release deploy production
# [targets.production]
# hosts = ["web1.example.com", "web2.example.com"]
# domains = ["www.example.com"]
"""


@dataclass(frozen=True)
class Starter:
    """The files of a first release: name -> content. `kept` are there already; `advice` is for the user."""

    app: str
    application: Application | None
    files: dict[str, str]
    kept: list[str]
    advice: list[str]


def plan(project: Path, index: str | None = None) -> Starter:
    """Plan the files that the project in folder `project` lacks; `index`: URL of the company index, if any.

    Raises PackhorseError when there is no application, and no Procfile that says how to run one.
    """
    sources = application.find(project)
    chosen = next(iter(sources.applications), None)
    if not chosen and not (project / procfile.NAME).exists():
        raise PackhorseError(
            f"{project}: its Python files define no WSGI or ASGI application.",
            "Run this in the folder of a web application, or write a Procfile with a line such as: "
            "web: python -m myapp --port $PORT",
        )
    table = toml.read(project / PYPROJECT)
    is_new = not (project / PYPROJECT).exists()
    needed = dependencies.of_project(project, sources, chosen) if is_new else []
    name = str(table.get("project", {}).get("name") or _name(project, needed))
    contents: dict[str, Callable[[], str]] = {
        PYPROJECT: lambda: _pyproject(project, name, sources, needed),
        procfile.NAME: lambda: _procfile(sources),
        MANIFEST_IN: lambda: _manifest_in(project, sources),
        SETTINGS: lambda: _settings(project, name, sources, index),
        GITIGNORE: lambda: _GITIGNORE,
    }
    kept = [file for file in contents if (project / file).exists()]
    needless = [
        *([MANIFEST_IN] if not _uses_setuptools(table) else []),
        *([SETTINGS] if "release" in table.get("tool", {}) else []),
    ]
    files = {file: make() for file, make in contents.items() if file not in (*kept, *needless)}
    return Starter(name, chosen, files, kept, list(_advice(project, table, sources, kept)))


def write(project: Path, starter: Starter) -> None:
    """Create the files. Raises PackhorseError, and leaves none behind, when one of them cannot be made."""
    made: list[Path] = []
    try:
        for name, content in starter.files.items():
            with (project / name).open("x", encoding="utf-8") as file:
                made.append(project / name)
                file.write(content)
    except OSError as error:
        for path in made:
            path.unlink()
        raise PackhorseError(
            f"{error.filename}: {error.strerror}.", "Nothing was written. Mend it and run this again."
        ) from error


def _name(project: Path, requirements: Sequence[str]) -> str:
    """That of the folder; another one if a package is called so that the project needs."""
    name = re.sub(r"[^a-z0-9]+", "-", project.resolve().name.lower()).strip("-") or "app"
    taken = {canonicalize_name(re.split(r"[^\w.-]", line, maxsplit=1)[0]) for line in requirements}
    return f"{name}-server" if name in taken else name


def _uses_setuptools(table: dict[str, Any]) -> bool:
    return str(table.get("build-system", {}).get("build-backend", "setuptools")).startswith("setuptools")


def _pyproject(project: Path, name: str, sources: Sources, requirements: Sequence[str]) -> str:
    packages, modules = _packages(sources)
    return _PYPROJECT.format(
        name=json.dumps(name),
        origin="as in requirements.txt"
        if (project / "requirements.txt").exists()
        else "what the files import",
        dependencies="\n".join(f"    {json.dumps(line)}," for line in requirements),
        modules=json.dumps(modules),
        where=json.dumps([sources.root.relative_to(project).as_posix()]),
        packages=json.dumps([pattern for package in packages for pattern in (package, f"{package}.*")]),
    )


def _packages(sources: Sources) -> tuple[list[str], list[str]]:
    """Packages and modules at the root; folders of data count as packages, so that a wheel holds them."""
    modules = sorted(name for name in sources.own if (sources.root / f"{name}.py").is_file())
    beside = {folder.name for folder in _alembic_folders(sources.root)}
    data = {name for name in _DATA if modules and (sources.root / name).is_dir()}
    packages = {name for name in sources.own if (sources.root / name).is_dir()}
    packages, data = packages - beside, data - beside
    return sorted(packages | data), [name for name in modules if name != "manage"]


def _procfile(sources: Sources) -> str:
    chosen = sources.applications[0]
    text = _WEB.format(interface=chosen.interface, reference=chosen.reference, command=_web(chosen))
    if sources.settings:
        text += _RELEASE.format(settings=sources.settings)
    if sources.celery:
        text += _WORKER.format(celery=sources.celery)
    return text


def _web(chosen: Application) -> str:
    if chosen.interface == ASGI:
        factory = " --factory" if chosen.reference.endswith("()") else ""
        return f"uvicorn {chosen.reference.removesuffix('()')}{factory} --fd 3"
    reference = f'"{chosen.reference}"' if chosen.reference.endswith("()") else chosen.reference
    return f"gunicorn {reference} --workers 2 --no-control-socket"


def _manifest_in(project: Path, sources: Sources) -> str:
    packages, _ = _packages(sources)
    folders = [(sources.root / package).relative_to(project).as_posix() for package in packages]
    return _MANIFEST_IN.format(folders="".join(f"graft {folder}\n" for folder in folders))


def _settings(project: Path, name: str, sources: Sources, index: str | None) -> str:
    app = re.sub(r"[-_.]+", "-", name).lower()[:40].strip("-")
    index_line = f"index = {json.dumps(index or 'https://pypi.example.com/company/dev')}"
    files = _files(project)
    beside = "# Files of the project in the working directory of every process.\nfiles = {}\n"
    return _SETTINGS.format(
        app=json.dumps(app),
        files=beside.format(json.dumps(files)) if files else "",
        index=index_line if index else f"# {index_line}",
        health_path=_health_path(sources.health_path),
    )


def _health_path(path: str) -> str:
    if path == "/":  # which may also redirect, if nobody names it
        return '# path = "/up"  # must answer 2xx; default: /healthz, and where the application has none, /'
    return f"path = {json.dumps(path)}  # must answer 2xx before a new release gets traffic"


def _files(project: Path) -> list[str]:
    """Files beside the packages that commands of a Procfile read: what release.toml calls `files`."""
    path = project / procfile.NAME
    commands = procfile.parse(path.read_bytes(), str(path)).values() if path.exists() else []
    present = [file.name for file in project.iterdir() if file.is_file()]
    named = [file for command in commands for file in procfile.files(command, present)]
    usual = [file for file in _BESIDE if file in present]
    folders = [f"{folder.name}/" for folder in _alembic_folders(project)]
    return [*dict.fromkeys([*usual, *named]), *folders]


def _alembic_folders(project: Path) -> list[Path]:
    """Folders with the migrations of Alembic, which its programs look for in the working directory."""
    return sorted(folder for folder in project.iterdir() if (folder / "script.py.mako").is_file())


def _advice(project: Path, table: dict[str, Any], sources: Sources, kept: list[str]) -> Iterator[str]:
    """Advice on what only the user can do."""
    known = toml.read(project / SETTINGS).get("files", [])
    chosen, *others = sources.applications or (None,)
    declared = table.get("project", {})
    if PYPROJECT in kept and "dependencies" not in declared.get("dynamic", []):
        server = dependencies.server_missing(declared.get("dependencies", []), chosen)
        if server and procfile.NAME not in kept:
            yield f"Add {server} to the dependencies in pyproject.toml: the Procfile starts it."
    if others and procfile.NAME not in kept:
        found = ", ".join(one.reference for one in others)
        yield f"There is {found} too: change web in the Procfile to serve it."
    missing = [file for file in _files(project) if file not in known] if SETTINGS in kept else []
    if missing:
        yield f"Add {', '.join(missing)} to files in release.toml, to have them in the working directory."
    if sources.settings:
        yield (
            f"In {sources.settings}, ALLOWED_HOSTS must have your domain and localhost. A SQLite database "
            "must lie below $DATA_DIR: what lies in a release goes with it."
        )
