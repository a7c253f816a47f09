"""Find where an application would write into its release, which it may not: what lies there goes with it."""

import ast
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath

# Three slashes: a path that is relative to the working directory, or to Flask's instance folder.
_SQLITE_URL = re.compile(r"sqlite(\+\w+)?:///(?![/{$%]|:memory:)[^\s\"'`;,)]+")
_DATABASE = re.compile(r"[^/~$%{:]([^/$%{:]|/)*\.(db|sqlite3?)", re.IGNORECASE)
# Expressions for folders of the code, or for the working directory.
_INSIDE = re.compile(r"BASE_DIR|BASEDIR|PROJECT_(ROOT|DIR)|__file__|\broot_path\b|getcwd|\bcwd\(|here\b")
# Of these the environment decides, and has a default for developers.
_CONFIGURED = re.compile(r"environ|getenv|DATA_DIR|\benv\b|\bconfig\(")
_FOLDERS = {"MEDIA_ROOT", "UPLOAD_FOLDER", "UPLOADS_DEFAULT_DEST"}
_TEXTS = {".ini", ".cfg", ".conf", ".toml", ".yaml", ".yml", ".json"}
_WHY = "it lies in the release, which cannot be written to: take a place below $DATA_DIR."


def warnings(
    files: Iterable[tuple[str, bytes]], commands: Mapping[str, str], values: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    """A sentence for each place that an application would write to in vain, the first of a file.

    `files`: path and content of modules and settings; `commands`: those of the Procfile; `values`:
    configuration of each target.
    """
    paths = set()
    for path, content in files:
        paths.add(path)
        if PurePosixPath(path).suffix == ".py":
            found = next(_in_module(content), None)
        else:
            found = _in_text(content) if PurePosixPath(path).suffix in _TEXTS else None
        if found:
            yield f"{path} line {found[0]}: {found[1]}: {_WHY}"
    for process, command in commands.items():
        words = [value for word in shlex.split(command) for value in (word, word.partition("=")[2])]
        named = (word for word in words if _DATABASE.fullmatch(word) and word not in paths)
        if database := next(named, None) or _url(command):
            yield f"{process} in the Procfile: {database}: {_WHY}"
    for target, environment in values.items():
        for name, value in environment.items():
            if database := _url(value):
                yield f"{name} of {target}: {database}: {_WHY}"


def _url(text: str) -> str | None:
    found = _SQLITE_URL.search(text)
    return found[0] if found else None


def _in_text(content: bytes) -> tuple[int, str] | None:
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
        if not line.lstrip().startswith(("#", ";", "//")) and (url := _url(line)):
            return number, url
    return None


def _in_module(content: bytes) -> Iterator[tuple[int, str]]:
    """Line and text of the places in a module, in order of their lines."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    defaults = {id(part) for node in ast.walk(tree) for part in _defaults(node)}
    found = [
        (node.lineno, text)
        for node in ast.walk(tree)
        if isinstance(node, ast.expr | ast.stmt) and id(node) not in defaults and (text := _place(node))
    ]
    yield from sorted(found)


def _defaults(node: ast.AST) -> Iterator[ast.AST]:
    """Defaults of environment variables, as in getenv("NAME", default): they count without the variable."""
    match node:
        case ast.Call(args=[ast.Constant(value=str(name)), *rest]) if name.isupper():
            for part in (*rest, *(keyword.value for keyword in node.keywords)):
                yield from ast.walk(part)
        case _:
            pass


def _place(node: ast.expr | ast.stmt) -> str | None:
    """The text of a place in the release that `node` names, None if it does not."""
    match node:
        case ast.Constant(value=str(text)):
            return _url(text)
        case (
            ast.BinOp(op=ast.Div(), right=ast.Constant(value=str(name)))
            | ast.Call(func=ast.Attribute(attr="join"), args=[*_, ast.Constant(value=str(name))])
        ) if _DATABASE.fullmatch(name) and _is_inside(node):
            return ast.unparse(node)
        case ast.Call(func=ast.Attribute(attr="connect"), args=[ast.Constant(value=str(name)), *_]) if (
            _DATABASE.fullmatch(name)
        ):
            return ast.unparse(node)
        case ast.Call(keywords=keywords) if _uses_instance_folder(keywords):
            return "instance_relative_config=True, without an instance_path"
        case ast.Assign(targets=[target], value=value) if _name(target) in _FOLDERS:
            relative = isinstance(value, ast.Constant) and not str(value.value).startswith("/")
            return ast.unparse(node) if relative or _is_inside(value) else None
        case _:
            return None


def _is_inside(node: ast.expr) -> bool:
    written = ast.unparse(node)
    return bool(_INSIDE.search(written)) and not _CONFIGURED.search(written)


def _uses_instance_folder(keywords: list[ast.keyword]) -> bool:
    """Whether these are arguments of Flask that lead to an instance folder inside the virtualenv."""
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in keywords if keyword.arg}
    return given.get("instance_relative_config") == "True" and "instance_path" not in given


def _name(target: ast.expr) -> str:
    match target:
        case ast.Name(id=name) | ast.Subscript(slice=ast.Constant(value=str(name))):
            return name
        case _:
            return ""
