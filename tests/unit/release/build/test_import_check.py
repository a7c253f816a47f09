"""What does not import from the wheel is named, and nothing that only hosts could tell."""

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from packhorse import process
from packhorse.process import Finished
from release.build import import_check
from release.host.formats import artifact, lockfile
from tests.support.fakes import a_context

LOCK = lockfile.parse(b'lock-version = "1.0"\ncreated-by = "uv"\npackages = []\n', "pylock.toml")


class Installing:
    """Runs programs for real, but for the installer: that one unpacks the wheel. Or it ends with `status`."""

    def __init__(self, wheel: Path, status: int = 0) -> None:
        self.wheel, self.status = wheel, status
        self.environment: Mapping[str, str] = {}

    def __call__(
        self,
        command: Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Finished:
        assert timeout
        if "venv" in command:
            return process.run(command, cwd=cwd, env=env, timeout=timeout)
        if "uv" not in command:
            self.environment = env or {}
            return process.run(command, cwd=cwd, env=env, timeout=timeout)
        assert cwd
        site = next((cwd / "venv" / "lib").glob("python*/site-packages"))
        with zipfile.ZipFile(self.wheel) as archive:
            archive.extractall(site)
        return Finished(self.status, "", "")


def warnings(folder: Path, source: str, status: int = 0, **env: str) -> tuple[list[str], Installing]:
    """About a module shop with this source."""
    wheel = folder / "shop.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("shop.py", source)
    (folder / "scratch").mkdir()
    runner = Installing(wheel, status)
    context = replace(a_context(folder), run=runner, values={"production": env})
    beside = {"conf/shop.ini": artifact.ProjectFile(b"[shop]")}
    application = import_check.BuiltApplication(wheel, {}, LOCK, {}, beside)
    return list(import_check.warnings(application, ["shop"], folder / "scratch", context)), runner


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_dependency", "ModuleNotFoundError: No module named 'no_such_dependency'"),
        ("from json import no_such_name", "ImportError: cannot import name 'no_such_name'"),
        ("def app(:", "SyntaxError"),
        ("print('packhorse-import-check:'); app = Flsk()", "NameError: name 'Flsk' is not defined"),
    ],
)
def test_what_does_not_import_is_named_with_the_reason(source: str, reason: str, tmp_path: Path) -> None:
    (warning,), _ = warnings(tmp_path, source)
    assert warning.startswith("shop does not import from the wheel: ")
    assert reason in warning


@pytest.mark.parametrize(
    "source",
    [
        "app = 1",
        "import os; os.environ['SECRET_KEY']",
        "import os; assert os.environ['MODE'] == 'fast'",
        "raise SystemExit('no database')",
        "import os; os._exit(3)",
        "from pathlib import Path; Path('conf/shop.ini').read_text(); print('hello')",
    ],
)
def test_what_only_hosts_have_is_no_reason(source: str, tmp_path: Path) -> None:
    """Secrets and databases; what release.toml and the project's files have is there."""
    assert warnings(tmp_path, source, MODE="fast")[0] == []


def test_the_code_gets_none_of_the_developers_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may send them anywhere, or write over what lies in the home folder."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    _, runner = warnings(tmp_path, "app = 1")
    assert "AWS_SECRET_ACCESS_KEY" not in runner.environment
    assert runner.environment["HOME"] == str(tmp_path / "scratch" / "data")


def test_code_for_a_python_that_is_not_here_is_left_out_with_a_word(tmp_path: Path) -> None:
    """Another one would call new syntax a mistake."""
    context = replace(a_context(tmp_path), pythons={"3.97"})
    application = import_check.BuiltApplication(tmp_path / "shop.whl", {}, LOCK, {}, {})
    assert list(import_check.warnings(application, ["shop"], tmp_path, context)) == [
        "Whether shop can be imported was not checked: there is no Python 3.97 here."
    ]


def test_what_does_not_install_in_time_is_left_out_with_a_word(tmp_path: Path) -> None:
    """A build must not wait for gigabytes of wheels."""
    (warning,), _ = warnings(tmp_path, "import nothing", status=process.TIMED_OUT)
    assert warning == "Whether shop can be imported was not checked: installing took longer than 60 s."
