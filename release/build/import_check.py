"""Import what the Procfile names from the built wheel among the locked dependencies; say what is missing."""

import json
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.pylock import Pylock

from packhorse import process
from packhorse.errors import PackhorseError
from release.context import Context
from release.host.disk.layout import Layout
from release.host.formats import artifact, lockfile
from release.host.install import installer, interpreter

INSTALL_TIMEOUT, IMPORT_TIMEOUT = 60.0, 20.0  # seconds
_MARK = "packhorse-import-check:"
# Without a network where the kernel allows that to everybody (unshare(2): CLONE_NEWUSER, CLONE_NEWNET). Other
# exceptions than these may come from configuration or services that only hosts have.
_PROGRAM = f"""\
import ctypes, importlib, json, sys
ctypes.CDLL(None).unshare(0x10000000 | 0x40000000)
sys.path.insert(0, "")
failed = []
for module in sys.argv[1:]:
    try:
        importlib.import_module(module)
    except (ImportError, SyntaxError, NameError) as error:
        failed.append([module, f"{{type(error).__name__}}: {{error}}"])
    except BaseException:
        pass
sys.__stdout__.write("\\n{_MARK}" + json.dumps(failed) + "\\n")
"""


@dataclass(frozen=True)
class BuiltApplication:
    """A built `wheel` and what travels with it: commands, lock, `wheels` of dependencies, files beside it."""

    wheel: Path
    processes: Mapping[str, str]
    lock: Pylock
    wheels: Mapping[str, bytes]
    beside: Mapping[str, artifact.ProjectFile]


def warnings(
    application: BuiltApplication, modules: Collection[str], scratch: Path, context: Context
) -> Iterator[str]:
    """Sentences about those of `modules` that do not import.

    It runs the project's own code, on its developer's machine as its tests do: with the environment of
    build backends, which has no secrets, in an empty home, without a network if possible; on the Python of a
    target, as another one may not even read the code. `scratch` is an empty folder.
    """
    version = next(iter(sorted(context.pythons)), None)
    try:
        found = interpreter.find(Layout("check", context.home, context.home), version)
    except PackhorseError:
        yield _unchecked(modules, f"there is no Python {version} here")
        return
    python = scratch / "venv" / "bin" / "python"
    make = installer.make_command(found.path, scratch / "venv", with_pip=False)
    requirements = scratch / "requirements.txt"
    requirements.write_text("\n".join(_requirements(application, scratch)), encoding="utf-8")
    command = [
        *(sys.executable, "-Im", "uv", "pip", "install", "--quiet", "--python", str(python)),
        *("--no-deps", "--only-binary", ":all:", "--requirement", str(requirements)),
    ]
    for step in (make, command):
        done = context.run(step, cwd=scratch, env=context.environment, timeout=INSTALL_TIMEOUT)
        if done.status == process.TIMED_OUT:
            yield _unchecked(modules, f"installing took longer than {INSTALL_TIMEOUT:g} s")
            return
        if done.status:
            yield _unchecked(modules, f"what is locked does not install on Python {found.version} here")
            return
    yield from _imported(application, modules, scratch, context)


def _unchecked(modules: Collection[str], reason: str) -> str:
    return f"Whether {', '.join(modules)} can be imported was not checked: {reason}."


def _requirements(application: BuiltApplication, scratch: Path) -> Iterator[str]:
    """Lines for the installer: what is locked, the wheels that were built, the project itself."""
    lock, built = application.lock, application.wheels
    inside = {name.partition("-")[0].replace("_", "-").lower(): name for name in built}
    for package, line in zip(lock.packages, lockfile.requirements(lock, lockfile.NAME), strict=True):
        if package.name not in inside and package.wheels:
            yield line  # with hashes, which uv verifies where there are some
    for name, content in built.items():
        (scratch / name).write_bytes(content)
        yield (scratch / name).as_uri()
    yield application.wheel.absolute().as_uri()


def _imported(
    application: BuiltApplication, modules: Collection[str], scratch: Path, context: Context
) -> Iterator[str]:
    work, data = scratch / "work", scratch / "data"
    data.mkdir()
    work.mkdir()
    for path, file in application.beside.items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_bytes(file.content)
    values = {name: value for env in context.values.values() for name, value in env.items()}
    environment = {**context.plain_environment, **values, "HOME": str(data), "DATA_DIR": str(data)}
    command = [str(scratch / "venv" / "bin" / "python"), "-P", "-c", _PROGRAM, *modules]
    done = context.run(command, cwd=work, env=environment, timeout=IMPORT_TIMEOUT)
    if done.status == process.TIMED_OUT:
        yield f"{', '.join(modules)} was not imported within {IMPORT_TIMEOUT:g} s."
    _, _, found = done.stdout.rpartition(_MARK)
    for module, reason in json.loads(found.partition("\n")[0]) if _MARK in done.stdout else ():
        yield f"{module} does not import from the wheel: {reason}."
