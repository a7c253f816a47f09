"""The real clients against the mirror: devpi, twine, pip and uv do what their users expect."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.helpers import BIN, Mirror, clean_environment, run_command

PROJECT = {
    "pyproject.toml": """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "NAME"
version = "1.0"
dependencies = ["six"]
[tool.setuptools]
py-modules = ["tiny"]
""",
    "tiny.py": "import six\nanswer = six.ensure_str(b'42')\n",
    "MANIFEST.in": "include tox.ini check.py\n",
    "tox.ini": "[tox]\nenv_list = check\n[testenv:check]\ncommands = python check.py\n",
    "check.py": "import tiny\nassert tiny.answer == '42'\n",
}


def _build(folder: Path, name: str, **changed: str) -> list[Path]:
    """An sdist and a wheel of a tiny project that depends on six; `changed` replaces words in it."""
    for file, template in PROJECT.items():
        text = template
        for old, new in {"NAME": name, **changed}.items():
            text = text.replace(old, new)
        (folder / file).write_text(text)
    command = [sys.executable, "-Im", "build", "--no-isolation", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    return sorted((folder / "dist").iterdir())


def _upload(
    mirror: Mirror, index: str, files: list[Path], *, password: str | None = None, status: int = 0
) -> str:
    """What `twine upload` says, started as a person would; the password is in the environment."""
    password = password or mirror.credentials["company"]
    environment = {**mirror.environment, "TWINE_USERNAME": "company", "TWINE_PASSWORD": password}
    options = ["--non-interactive", "--disable-progress-bar", "--repository-url", f"{mirror.url}/{index}/"]
    done = run_command(BIN / "twine", "upload", *options, *files, env=environment, status=status)
    return done.stdout + done.stderr


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    """The python of an environment without anything but pip."""
    run_command(sys.executable, "-m", "venv", tmp_path / "venv", env=clean_environment(tmp_path))
    return tmp_path / "venv" / "bin" / "python"


def test_pip_gets_an_upload_from_the_index_and_its_dependency_from_the_upstream(
    mirror_server: Mirror, tmp_path: Path, venv: Path
) -> None:
    """One index for everything: the reason for having a mirror."""
    _upload(mirror_server, "company/dev", _build(tmp_path, "tiny-by-twine"))
    index = ["--index-url", mirror_server.index_url("company/dev")]
    mirror_server.run(venv, "-m", "pip", "install", "--no-cache-dir", *index, "tiny-by-twine")
    assert mirror_server.run(venv, "-c", "import tiny; print(tiny.answer)").stdout == "42\n"


def test_uv_gets_an_upload_from_the_index_and_its_dependency_from_the_upstream(
    mirror_server: Mirror, tmp_path: Path, venv: Path
) -> None:
    """uv reads other pages (JSON) and asks for metadata files."""
    _upload(mirror_server, "company/dev", _build(tmp_path, "tiny-by-uv"))
    index = ["--index-url", mirror_server.index_url("company/dev")]
    mirror_server.run(BIN / "uv", "pip", "install", "--no-cache", "--python", venv, *index, "tiny-by-uv")
    assert mirror_server.run(venv, "-c", "import tiny; print(tiny.answer)").stdout == "42\n"


def test_pip_gets_a_package_of_the_upstream_alone(mirror_server: Mirror, venv: Path) -> None:
    """Through both of the company's indexes, neither of which has it."""
    index = ["--index-url", mirror_server.index_url("company/dev")]
    mirror_server.run(venv, "-m", "pip", "install", "--no-cache-dir", *index, "iniconfig==2.0.0")
    assert mirror_server.run(venv, "-c", "import iniconfig").returncode == 0


def test_twine_with_a_wrong_password_uploads_nothing(mirror_server: Mirror, tmp_path: Path) -> None:
    """And the password is not in what it prints."""
    files = _build(tmp_path, "tiny-refused")
    output = _upload(mirror_server, "company/dev", files, password="wr0ng-passw0rd", status=1)
    assert "403" in output or "401" in output
    assert "wr0ng-passw0rd" not in output
    index = ["--index-url", mirror_server.index_url("company/dev")]
    listed = mirror_server.run(BIN / "pip", "download", *index, "tiny-refused", cwd=tmp_path, status=1)
    assert "No matching distribution found for tiny-refused" in listed.stderr


def test_what_is_on_the_production_index_stays_as_it_is(mirror_server: Mirror, tmp_path: Path) -> None:
    """A non-volatile index is what makes a version mean the same tomorrow."""
    _upload(mirror_server, "company/prod", _build(tmp_path, "tiny-final"))
    changed = _build(tmp_path, "tiny-final", answer="response")
    assert "409" in _upload(mirror_server, "company/prod", changed, status=1)


def test_the_devpi_client_logs_in_lists_and_tests(mirror_server: Mirror, tmp_path: Path) -> None:
    """`devpi test` runs tox: the project's own test, with its dependency from the mirror."""
    _upload(mirror_server, "company/dev", _build(tmp_path, "tiny-by-devpi"))

    def devpi(*arguments: str | Path) -> str:
        client = tmp_path / "client"
        done = mirror_server.run(BIN / "devpi", *arguments, "--clientdir", client, cwd=tmp_path, timeout=240)
        return done.stdout

    assert "company/dev" in devpi("use", f"{mirror_server.url}/company/dev")
    assert "logged in" in devpi("login", "company", "--password", mirror_server.credentials["company"])
    assert "company/dev" in devpi("index", "-l")
    assert "volatile=True" in devpi("index", "company/dev")
    assert "tiny_by_devpi-1.0.tar.gz" in devpi("list", "tiny-by-devpi")
    devpi("test", "tiny-by-devpi")
    assert "tests passed" in devpi("list", "--toxresults", "tiny-by-devpi"), "the result is on the index"
