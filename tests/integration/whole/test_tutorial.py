"""docs/tutorial.md, done by a reader with three bare servers."""

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import documents, file_keyring, hosts
from tests.support.hosts.bare_servers import Company, company, get
from tests.support.servers import BIN, run_command

pytestmark = [*hosts.MARKS, pytest.mark.needs("nginx")]


@pytest.fixture(scope="module")
def bare() -> Iterator[Company]:
    with company("web1", "web2") as made:
        yield made


def _here(text: str, bare: Company) -> str:
    """What the page says, with the names of these servers, and the index that stands for the public one."""
    names = {
        "https://packages.example.com/simple/": bare.outside.index_url("company/dev"),
        "http://pypi.example.com": f"http://{bare.pypi.address}",
        "http://web1.example.com": f"http://{bare.apps[0].address}",
        **{f"{host.name}.example.com": host.name for host in bare.net.members.values()},
    }
    for name, here in names.items():
        text = text.replace(name, here)
    return text


@pytest.fixture(scope="module")
def environment(bare: Company, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The reader's machine: what `release login` keeps there stays."""
    return bare.net.environment(
        bare.outside.home, **file_keyring.environment(tmp_path_factory.mktemp("reader"))
    )


@pytest.fixture(scope="module")
def tutorial(bare: Company, environment: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Output of the commands: each block in its order, in one folder."""
    project, printed = tmp_path_factory.mktemp("tutorial") / "hello", ""
    project.mkdir()
    upstream = f'[upstream]\nurl = "{bare.outside.index_url("root/pypi")}"\n'
    for language, filename, text in documents.blocks("tutorial.md"):
        here = _here(text, bare)
        if filename:
            (project / filename).write_text(here + (upstream if filename == "mirror.toml" else ""))
        elif language == "sh":
            done = run_command(
                "sh", "-eux", "-c", documents.script(here), env=environment, cwd=project, timeout=600
            )
            printed += done.stdout + done.stderr
    return printed


def test_the_commands_of_the_tutorial_work(tutorial: str) -> None:
    """From bare servers to a rollback; the mistake is a deploy without a value that it needs."""
    assert tutorial.count("\nHello from the company\n") == 3
    assert "release config set production COMPANY" in tutorial
    assert "AttributeError" in tutorial  # release logs


@dataclass(frozen=True)
class FirstHour:
    """An application as its framework's own tutorial makes it, the mistake of the hour, and its correction.

    `hints` are in what the deploy with the mistake prints.
    """

    name: str
    make: Callable[[Path, Mapping[str, str]], object]
    mistake: Callable[[Path], object]
    hints: tuple[str, ...]
    correct: Callable[[Path], object]
    page: tuple[str, str]  # its path, and what is on it


def _edit(file: Path, pattern: str, replacement: str) -> None:
    text, count = re.subn(pattern, replacement, file.read_text(), flags=re.MULTILINE)
    assert count, pattern
    file.write_text(text)


def _start_django(folder: Path, environment: Mapping[str, str]) -> None:
    python = folder.parent / "venv" / "bin" / "python"
    run_command(BIN / "uv", "venv", folder.parent / "venv", "--python", sys.executable, env=environment)
    install = (BIN / "uv", "pip", "install", "--python", python, "django")
    run_command(*install, "--index-url", environment["INDEX"], env=environment)
    run_command(python, "-m", "django", "startproject", "site1", folder, env=environment)


def _correct_django(folder: Path) -> None:
    settings = folder / "site1" / "settings.py"
    _edit(settings, r"BASE_DIR / .db\.sqlite3.", "Path(os.environ['DATA_DIR']) / 'db.sqlite3'")
    _edit(settings, r"^ALLOWED_HOSTS = \[\]", 'ALLOWED_HOSTS = ["*"]')
    _edit(settings, "^from pathlib import Path", "import os\nfrom pathlib import Path")


FASTAPI = """
from fastapi import FastAPI

app = FastAPI()


@app.get("/healthz")
def health() -> str:
    return "the first hour"
"""
FIRST_HOURS = [
    FirstHour(
        "django-hour",
        _start_django,
        mistake=lambda _: None,  # as it is made, its database lies in the release
        hints=("unable to open database file", "DATA_DIR"),
        correct=_correct_django,
        page=("/admin/login/", "Django administration"),
    ),
    FirstHour(
        "fastapi-hour",
        lambda folder, _: (folder / "main.py").write_text(FASTAPI),
        mistake=lambda folder: _edit(folder / "Procfile", "^web: .*", "web: uvicorn main:app --port 8000"),
        hints=("uvicorn", "--fd 3"),
        correct=lambda folder: _edit(folder / "Procfile", "--port 8000", "--fd 3"),
        page=("/healthz", "the first hour"),
    ),
]


@pytest.mark.usefixtures("tutorial")
@pytest.mark.parametrize("hour", FIRST_HOURS, ids=lambda hour: hour.name)
def test_another_framework_gets_to_two_servers(
    hour: FirstHour, bare: Company, environment: Mapping[str, str], tmp_path: Path
) -> None:
    """By the tutorial's commands: with the mistake that people make there, and once it is corrected."""
    folder = tmp_path / hour.name
    folder.mkdir()
    hour.make(folder, {**environment, "INDEX": bare.outside.index_url("root/pypi")})

    def release(*arguments: str, status: int = 0) -> str:
        done = run_command(
            BIN / "release", *arguments, env=environment, cwd=folder, status=status, timeout=600
        )
        return done.stdout + done.stderr

    release("new")
    names = [host.name for host in bare.apps]
    (folder / "release.toml").write_text(
        f'app = "{hour.name}"\nindex = "{bare.index}"\nallow_http = true\n'
        f"[health]\ntimeout = 15\n[targets.production]\nhosts = {names}\n"
        f'domains = ["{hour.name}.example.com"]\n'
    )
    release("provision", "production")
    hour.mistake(folder)
    release("build")
    release("upload")
    refusal = release("deploy", "production", status=1)
    assert all(hint in refusal for hint in hour.hints), refusal
    hour.correct(folder)
    _edit(folder / "pyproject.toml", 'version = "0.1.0"', 'version = "0.2.0"')
    release("build")
    release("upload")
    release("deploy", "production")
    path, text = hour.page
    for host in bare.apps:
        status, page = get(host, path, f"{hour.name}.example.com")
        assert status == 200
        assert text in page
