"""Find the web application of a project in its source files, without importing any of them."""

import ast
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

WSGI, ASGI = "WSGI", "ASGI"
# What makes an application object, by its full name -> the interface that the object has.
_FACTORIES = {
    "flask.Flask": WSGI,
    "django.core.wsgi.get_wsgi_application": WSGI,
    "bottle.Bottle": WSGI,
    "falcon.App": WSGI,
    "connexion.FlaskApp": WSGI,
    "dash.Dash": WSGI,
    "fastapi.FastAPI": ASGI,
    "starlette.applications.Starlette": ASGI,
    "django.core.asgi.get_asgi_application": ASGI,
    "quart.Quart": ASGI,
    "litestar.Litestar": ASGI,
    "falcon.asgi.App": ASGI,
    "blacksheep.Application": ASGI,
    "connexion.AsyncApp": ASGI,
}
_CELERY = "celery.Celery"
_INTERFACES = {("environ", "start_response"): WSGI, ("scope", "receive", "send"): ASGI}
# Common addresses of health checks, the most telling first.
_HEALTH_PATHS = ("/healthz", "/health", "/-/healthy", "/livez", "/readyz", "/up", "/ping", "/status")
_SKIPPED = {
    "tests",
    "test",
    "docs",
    "doc",
    "examples",
    "build",
    "dist",
    "node_modules",
    "venv",
    "env",
    "site-packages",
}
_MOST_FILES = 2000


@dataclass(frozen=True)
class Application:
    """An application object: `reference` is `module:name`, with `()` when `name` is a factory.

    `framework` is the import name of what made it, None for a plain function.
    """

    reference: str
    interface: str
    framework: str | None


@dataclass(frozen=True)
class Sources:
    """Findings in the source files of a project.

    `root` is the folder that modules are imported from (the project's, or its `src`); `applications` has the
    likeliest first; `health_path` is where a healthy application should answer 2xx; `celery` is the module
    of a Celery application, `settings` Django's settings module, None without one; `imported` are the
    top-level modules that the files import, `own` those that they are.
    """

    root: Path
    applications: tuple[Application, ...]
    health_path: str
    celery: str | None
    settings: str | None
    imported: frozenset[str]
    own: frozenset[str]


def find(project: Path) -> Sources:
    """Read the Python files of the folder `project`, up to 2,000; those that are no Python are left out."""
    root = project / "src" if (project / "src").is_dir() else project
    modules = [_Module(path, root) for path in _files(root)]
    applications = sorted(
        (found for module in modules for found in module.applications), key=lambda one: _rank(one.reference)
    )
    settings = next((module.settings for module in modules if module.settings), None)
    return Sources(
        root,
        tuple(applications),
        _health_path({text for module in modules for text in module.texts}, django=settings is not None),
        next((module.name for module in modules if module.celery), None),
        settings,
        frozenset(name for module in modules for name in module.imported),
        frozenset(module.name.partition(".")[0] for module in modules),
    )


def _health_path(texts: set[str], *, django: bool) -> str:
    """A path that should answer 2xx: one that some file names, Django's login page, else the root."""
    for path in _HEALTH_PATHS:
        if path in texts:
            return path
        if {f"{path}/", f"{path[1:]}/"} & texts:
            return f"{path}/"
    return "/admin/login/" if django and "admin/" in texts else "/"


def _files(root: Path) -> Iterator[Path]:
    """Python files below `root`, those at the top first; without tests, virtualenvs and hidden folders."""
    count = 0
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            name
            for name in folders
            if name not in _SKIPPED and name.isidentifier() and not Path(folder, name, "pyvenv.cfg").exists()
        )
        for name in sorted(names):
            if name.endswith(".py") and name not in ("setup.py", "conftest.py", "noxfile.py", "tasks.py"):
                count += 1
                if count > _MOST_FILES:
                    return
                yield Path(folder, name)


def _rank(reference: str) -> tuple[object, ...]:
    """Sort key: modules that exist to be served, then usual names, then the shallowest."""
    module, _, name = reference.partition(":")
    last = module.rpartition(".")[2]
    return (
        last not in ("asgi", "wsgi"),
        last != "wsgi",  # Django makes both, whether or not anything in the project is asynchronous
        name not in ("app", "application", "create_app()", "make_app()"),
        module.count("."),
        last not in ("app", "main", "server", "web"),
        reference,
    )


class _Module:
    """Definitions of one file at its top level."""

    def __init__(self, path: Path, root: Path) -> None:
        parts = path.relative_to(root).with_suffix("").parts
        self.name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
        self.applications: list[Application] = []
        self.texts: set[str] = set()
        self.imported: set[str] = set()
        self.celery = False
        self.settings: str | None = None
        self._names: dict[str, str] = {}  # name in this file -> full name of what was imported
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return
        for node in ast.walk(tree):
            self._note(node)
        for statement in tree.body:
            self._define(statement)

    def _note(self, node: ast.AST) -> None:
        """Imports and texts, wherever they are."""
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                self.imported.add(top)
                self._names[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            self.imported.add(node.module.partition(".")[0])
            self._names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 80:
            self.texts.add(node.value)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "os.environ.setdefault":
            match node.args:
                case [ast.Constant(value="DJANGO_SETTINGS_MODULE"), ast.Constant(value=str(value))]:
                    self.settings = value

    def _define(self, statement: ast.stmt) -> None:
        """An application object, or a function that makes or is one."""
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as call):
                self._add(name, call)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Call() as call):
                self._add(name, call)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                self._define_function(name, statement)
            case _:
                pass

    def _add(self, name: str, call: ast.Call) -> None:
        factory = self._full_name(call.func)
        self.celery |= factory == _CELERY
        if factory.endswith(".make_wsgi_app"):  # pyramid's, a method of whatever the configurator is called
            self.applications.append(Application(f"{self.name}:{name}", WSGI, "pyramid"))
        elif factory in _FACTORIES:
            self._found(f"{name}.server" if factory == "dash.Dash" else name, factory)

    def _define_function(self, name: str, function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        arguments = function.args
        interface = _INTERFACES.get(tuple(argument.arg for argument in arguments.args))
        if interface:
            self.applications.append(Application(f"{self.name}:{name}", interface, None))
            return
        required = len(arguments.args) - len(arguments.defaults)
        if required or not name.startswith(("create_", "make_", "get_", "build_")):
            return
        for node in ast.walk(function):
            factory = self._full_name(node.func) if isinstance(node, ast.Call) else None
            if factory in _FACTORIES:
                self._found(f"{name}()", factory)
                return

    def _found(self, name: str, factory: str) -> None:
        framework = factory.partition(".")[0]
        self.applications.append(Application(f"{self.name}:{name}", _FACTORIES[factory], framework))

    def _full_name(self, node: ast.expr) -> str:
        first, _, rest = ast.unparse(node).partition(".")
        full = self._names.get(first, first)
        return f"{full}.{rest}" if rest else full
