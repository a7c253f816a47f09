"""Lock a project's dependencies into pylock.toml (PEP 751), with hashes and without addresses."""

import re
import sys
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from urllib.parse import unquote

from packaging.pylock import Pylock
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from packhorse import files, process
from packhorse.errors import PackhorseError
from release import index
from release.build import source_tree, withheld
from release.context import Context
from release.host.formats import lockfile

HEADER = "# Made by `release lock` from pyproject.toml: commit it. Newer versions: release lock --upgrade\n"
# Packhorse's agent, which makes the virtualenvs on the hosts, needs 3.11.
_OLDEST_MINOR = 11
# What uv says of a package whose source it may not build.
_NO_WHEEL = re.compile(r"Wheels are required for `([^`]+)`")


def committed(folder: Path, context: Context) -> bytes:
    """The lock in the project, which must still fit its dependencies; made and written when there is none."""
    path = folder / lockfile.NAME
    existing = path.read_bytes() if path.exists() else None
    old = lockfile.parse(existing, str(path)) if existing is not None else None
    for package in old.packages if old else ():
        if not package.wheels and package.name not in context.sdists:
            raise needs_sdist(str(package.name))
    fitting = resolve(source_tree.lock_inputs(folder, context), existing, context)
    if existing is None or old is None:
        files.write_whole(path, fitting)
        return fitting
    new = lockfile.parse(fitting, "the new lock")
    if pins(old) != pins(new):
        raise PackhorseError(
            f"{path} does not fit the dependencies any more: {_difference(old, new)}.",
            "Renew it and commit it: release lock",
        )
    if b"://" in existing:
        raise PackhorseError(f"{path} has addresses in it.", "Let Packhorse make it: release lock")
    return existing


def renew(folder: Path, context: Context, *, upgrade: bool) -> list[str]:
    """Write the lock that fits the project in `folder` now; one line per package that has changed."""
    path = folder / lockfile.NAME
    index.require(context.index_url, context.get)
    existing = None if upgrade or not path.exists() else path.read_bytes()
    text = resolve(source_tree.lock_inputs(folder, context), existing, context)
    old = lockfile.parse(path.read_bytes(), str(path)) if path.exists() else None
    if not path.exists() or path.read_bytes() != text:
        files.write_whole(path, text)
    return list(changes(old, lockfile.parse(text, str(path))))


def requirement_lines(folder: Path) -> list[str]:
    """The committed lock of the project in `folder` as lines for `pip install --requirement`."""
    path = folder / lockfile.NAME
    if not path.exists():
        raise PackhorseError(f"{folder}: there is no {lockfile.NAME}.", "Make one: release lock")
    return lockfile.requirements(lockfile.parse(path.read_bytes(), str(path)), str(path))


def resolve(inputs: source_tree.LockInputs, existing: bytes | None, context: Context) -> bytes:
    """A lock for `inputs`: every version and hash for every Python and platform, as the index has them.

    Versions of the lock `existing` stay as far as they fit. Raises PackhorseError with uv's explanation when
    nothing fits.
    """
    oldest = oldest_python(inputs.requires_python)
    with tempfile.TemporaryDirectory(prefix="packhorse-lock-") as scratch:
        requirements, output = Path(scratch, "requirements.in"), Path(scratch, lockfile.NAME)
        requirements.write_text("".join(f"{line}\n" for line in inputs.dependencies), encoding="utf-8")
        if existing is not None:
            output.write_bytes(existing)
        command = _compile(requirements, output, oldest, context.sdists)
        done = context.run(command, cwd=Path(scratch), env=context.environment)
        if done.status != 0:
            raise _unlockable(done, inputs, context)
        return without_addresses(output.read_text(encoding="utf-8"), inputs.requires_python)


def _unlockable(done: process.Finished, inputs: source_tree.LockInputs, context: Context) -> PackhorseError:
    """The error for uv's failure; what policies withhold goes before what uv concludes from its absence."""
    found = withheld.cause(done.output, inputs.dependencies, context)
    error = process.failure(
        done,
        f"The dependencies cannot be locked against {context.index_url}.",
        "Correct dependencies in pyproject.toml, or bring what is missing to the index.",
    )
    if found.lacking:
        return withheld.error(found, context, error.detail)
    if without_wheel := _NO_WHEEL.search(done.output):
        error = needs_sdist(without_wheel[1], done.output)
    error.detail = f"{error.detail}\n{found.notes(context)}".rstrip()
    return error


def needs_sdist(name: str, detail: str = "") -> PackhorseError:
    """The error for dependency `name` that there is no wheel of."""
    return PackhorseError(
        f"There is no wheel of {name}: a program that its author wrote would have to build it first.",
        f'Take a version with wheels, or have `release build` build it: sdists = ["{name}"] in release.toml.',
        detail=detail,
    )


def _compile(requirements: Path, output: Path, oldest: Version, sdists: Collection[str]) -> list[str]:
    """Only wheels count, except for `sdists`: of these only the source, as nobody knows which wheels fit."""
    return [
        *(sys.executable, "-Im", "uv", "pip", "compile", str(requirements)),
        *("--format", "pylock.toml", "--output-file", str(output), "--no-header", "--quiet"),
        *("--universal", "--python-version", str(oldest), "--python", sys.executable),
        *("--only-binary", ":all:", *(word for name in sdists for word in ("--no-binary", name))),
    ]


def oldest_python(requires_python: str | None) -> Version:
    """The oldest Python that the project allows and that Packhorse runs on."""
    try:
        allowed = SpecifierSet(requires_python or "")
    except InvalidSpecifier as error:
        raise PackhorseError(
            f'requires-python = "{requires_python}" is not valid (PEP 440).', "Correct it in pyproject.toml."
        ) from error
    for minor in range(_OLDEST_MINOR, 50):
        for patch in ("", *(f".{number}" for number in range(1, 30))):
            candidate = Version(f"3.{minor}{patch}")
            if candidate in allowed:
                return candidate
    raise PackhorseError(
        f'requires-python = "{requires_python}" allows no Python that Packhorse runs on.',
        f"Allow 3.{_OLDEST_MINOR} or later in pyproject.toml.",
    )


def without_addresses(text: str, requires_python: str | None) -> bytes:
    """uv's lock with file names in place of URLs, and with the project's own upper bound for Python.

    A host takes the files from its index by name, version and hash. PEP 751 wants a path or a URL
    for each, so each gets the path `wheels/<filename>`.
    """
    text = re.sub(r'\burl = "[^"]*/([^"/]+)"', lambda match: f'path = "wheels/{unquote(match[1])}"', text)
    text = re.sub(r'(?m)^index = "[^"]*"\n', "", text)
    pythons = f'requires-python = "{_pythons(requires_python)}"'
    text = re.sub(r'(?m)^requires-python = ".*"$', pythons, text, count=1)
    lock = lockfile.parse(text.encode(), "the new lock")
    lockfile.requirements(lock, "the new lock")
    return (HEADER + text).encode()


def _pythons(requires_python: str | None) -> str:
    oldest = oldest_python(requires_python)
    rest = [str(part) for part in SpecifierSet(requires_python or "") if part.operator not in {">=", ">"}]
    return ",".join([f">={oldest}", *sorted(rest)])


def pins(lock: Pylock) -> set[str]:
    """Decisions of a lock: `name==version ; marker` of every package, and the Pythons it is for."""
    packages = (f"{package.name}=={package.version} ; {package.marker}" for package in lock.packages)
    return {f"python {lock.requires_python}", *packages}


def changes(old: Pylock | None, new: Pylock) -> Iterator[str]:
    """One line per package that `new` adds, moves or drops."""
    before, after = _versions(old), _versions(new)
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield f"{name} {before.get(name, '(new)')} -> {after.get(name, '(gone)')}"


def _versions(lock: Pylock | None) -> dict[str, str]:
    versions: dict[str, str] = {}
    for package in lock.packages if lock else []:
        known = versions.get(package.name)
        versions[package.name] = f"{known}, {package.version}" if known else str(package.version)
    return versions


def _difference(old: Pylock, new: Pylock) -> str:
    """In words, what `new` decides differently: packages, else markers or Pythons."""
    moved = list(changes(old, new))
    return ", ".join(moved) or f"it is for other Pythons or platforms (now {new.requires_python})"
