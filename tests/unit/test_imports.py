"""Which module may import what: layers of our own modules, and third parties that are declared."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PACKAGES = ("packhorse", "mirror", "release")
TOOLBOX = ROOT / "ansible" / "roles" / "app_host" / "files" / "toolbox.in"

# What a package may import of others; the longest name that fits a module counts.
THIRD_PARTIES = {
    "packhorse": {"click", "cyclonedx", "packageurl", "packaging", "pydantic", "pydantic_core", "rich"},
    "mirror": {"click", "devpi_server", "httpx", "packaging", "pydantic"},
    "mirror.accounts": {"packaging", "pymacaroons"},
    "mirror.advisories": {"cvss", "httpx", "msgspec", "packaging", "pydantic"},
    "mirror.lockfiles": {"msgspec", "packaging"},
    "mirror.monitoring": {"prometheus_client", "pydantic"},
    "mirror.plugin": {
        *(
            "cachetools",
            "cryptography",
            "devpi_common",
            "devpi_server",
            "devpi_tokens",
            "httpcore",
            "httpx",
            "isal",
            "itsdangerous",
            "jwt",
            "packaging",
            "pluggy",
            "prometheus_client",
            "pymacaroons",
            "pyramid",
            "waitress",
            "webob",
        ),
    },
    "mirror.policy": {"license_expression", "packaging", "pydantic"},
    "mirror.plugin.evidence": {"devpi_server", "msgspec", "packaging"},
    # Loaded by a process of its own alone, and only where packhorse[provenance] is installed.
    "mirror.plugin.evidence.attestations": {"cryptography", "pydantic", "pypi_attestations", "sigstore"},
    "mirror.plugin.policy": {"license_expression", "msgspec", "packaging"},
    "mirror.plugin.simple": {"msgspec", "packaging"},
    "mirror.plugin.upkeep": {"devpi_server", "msgspec", "packaging", "pyramid"},
    "release": {"click", "keyring", "packaging", "pydantic", "rich"},
    "release.assets": {"botocore", "packaging"},
    "release.credentials": {"keyring", "pymacaroons"},
    "release.local": {"honcho", "psutil", "watchfiles"},
    "release.host": {"packaging", "psutil", "uv", "zmq"},
    "release.host.formats": {"packaging"},
    "release.host.runtime": set[str](),  # copied into releases: the standard library only
    "release.host.runtime.supervisor": {"circus", "tornado"},
}
STARTED = {"build", "devpi-client", "setuptools", "twine"}  # as programs; never imported


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Our sources without what provisions servers, with the contracts of import-linter."""
    for name in PACKAGES:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "ansible"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint_imports(folder: Path) -> tuple[int, str]:
    """The exit status of import-linter in `folder`, and what it printed, in one line."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    env = os.environ | {"COLUMNS": "500"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    return done.returncode, " ".join(done.stdout.split())


def test_a_module_or_package_without_a_place_among_the_layers_fails_the_linter(copy: Path) -> None:
    """A list of what is forbidden had forgotten release.options; a list of places cannot forget a module."""
    assert lint_imports(copy)[0] == 0
    added = [
        f"{folder}/added.py" for folder in ("packhorse", "mirror", "mirror/cli", "mirror/plugin", "release")
    ]
    for path in map(Path, [*added, "release/host/added/__init__.py", "release/host/added/module.py"]):
        (copy / path).parent.mkdir(exist_ok=True)
        (copy / path).write_text('"""Added."""\n')
    status, output = lint_imports(copy)
    assert status == 1
    for container in ("packhorse", "mirror", "mirror.cli", "mirror.plugin", "release", "release.host"):
        assert f"The following modules are not listed as layers: - {container}.added " in output


@pytest.mark.parametrize(
    ("module", "statement"),
    [
        ("release/host/disk/journal.py", "from release.cli import main"),
        ("release/host/runtime/shim.py", "from release.host.disk import layout"),
        ("release/host/formats/procfile.py", "from packhorse import files"),
        ("release/host/commands/deploy/plan.py", "from packhorse import settings"),
        ("mirror/plugin/simple/content_types.py", "from mirror.plugin.upstream import client"),
        ("mirror/serving/server.py", "from mirror.plugin import compat"),
        ("mirror/api.py", "from release import index"),
    ],
)
def test_an_import_against_the_layers_fails_the_linter(copy: Path, module: str, statement: str) -> None:
    """Each of these would take away what a part is kept apart for, such as an agent without click."""
    path = copy / module
    path.write_text(f"{path.read_text('utf-8')}\n{statement}\n", "utf-8")
    assert lint_imports(copy)[0] == 1


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of ours, by its name."""
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            if "ansible" not in path.parts:
                yield ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), path


def imported(path: Path) -> set[str]:
    """The top-level names that the module at `path` imports from others, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names - sys.stdlib_module_names - set(PACKAGES)


def allowed(module: str) -> set[str]:
    """The row of THIRD_PARTIES that counts for `module`."""
    return THIRD_PARTIES[
        max((name for name in THIRD_PARTIES if f"{module}.".startswith(f"{name}.")), key=len)
    ]


def test_each_part_imports_only_the_third_parties_that_it_is_allowed() -> None:
    """Pure parts stay pure, the agent runs with its toolbox, and `mirror --help` loads no web framework."""
    found = {module: imported(path) - allowed(module) for module, path in modules()}
    assert {module: names for module, names in found.items() if names} == {}


def imported_modules(folder: str) -> set[str]:
    """The modules that the files below `folder` import by their whole names."""
    trees = [ast.parse(path.read_bytes()) for path in (ROOT / folder).rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {f"{node.module}." for node in nodes}


def test_benchmarks_use_the_support_of_tests_and_never_the_reverse() -> None:
    """A circle would make the suite depend on what is measured."""
    from_tests = {name for name in imported_modules("bench") if name.startswith("tests.")}
    assert from_tests
    assert [name for name in from_tests if not name.startswith("tests.support.")] == []
    assert [name for name in imported_modules("tests") if name.startswith("bench.")] == []


def test_every_dependency_is_declared_and_every_declared_one_is_used() -> None:
    """A package that comes along with another one can go with it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    declared = {Requirement(line).name for line in project["dependencies"]}
    providers = packages_distributions()
    for extra in ("assets", "provenance"):
        declared |= {Requirement(line).name for line in project["optional-dependencies"][extra]}
    used = {re.sub("_", "-", providers[name][0]) for _, path in modules() for name in imported(path)}
    assert used | STARTED == declared


def test_the_toolbox_of_a_host_names_all_that_the_agent_imports() -> None:
    """Nothing else is installed beside the agent."""
    toolbox = {Requirement(line).name for line in TOOLBOX.read_text("utf-8").splitlines() if line[0] != "#"}
    providers = packages_distributions()
    names = THIRD_PARTIES["release.host"] | THIRD_PARTIES["release.host.runtime.supervisor"]
    assert {providers[name][0] for name in names} == toolbox
