"""release.build.artifacts without a backend: a fake one leaves artifacts as pypa/build would."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from packhorse.process import Finished
from release.build import artifacts
from release.host.formats import artifact
from tests.support import built_dists
from tests.support.fakes import FakeIndex, FakeRunner, a_context
from tests.unit.release.build.test_lock import uv_lock

BOTH = (artifacts.SDIST, artifacts.WHEEL)


class Backend:
    """pypa/build, uv and git of a project without repository; `sdist_names`: what goes into its sdist."""

    def __init__(self, sdist_names: Sequence[str] = ("Procfile", "pylock.toml"), status: int = 0) -> None:
        self.sdist_names, self.status = sdist_names, status
        self.asked: list[list[str]] = []

    def __call__(self, command: list[str]) -> Finished:
        """Do what the program would leave behind."""
        if "git" in command[0]:
            return Finished(128, "", "fatal: not a git repository")
        if "--output-file" in command:
            Path(command[command.index("--output-file") + 1]).write_text(uv_lock("flask==3.1"))
            return Finished(0, "", "")
        self.asked.append(command)
        if self.status:
            return Finished(self.status, "running sdist", "SyntaxError: invalid syntax")
        outdir = Path(command[command.index("--outdir") + 1])
        files = {name: Path(command[-1], name).read_bytes() for name in self.sdist_names}
        made = [("sdist", built_dists.sdist(outdir, files)), ("wheel", built_dists.wheel(outdir))]
        report = {"artifacts": [{"kind": kind, "name": path.name} for kind, path in made]}
        Path(command[command.index("--report") + 1]).write_text(json.dumps(report))
        return Finished(0, "", "")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    folder.mkdir()
    folder.joinpath("pyproject.toml").write_text('[project]\nname = "sample-app"\ndependencies = ["flask"]\n')
    folder.joinpath("Procfile").write_text("web: run\n")
    return folder


def run(
    project: Path, backend: Backend, kinds: Sequence[str] = BOTH, index: FakeIndex | None = None
) -> artifacts.Result:
    there = a_context(project.parent, run=FakeRunner(backend), index=index)
    return artifacts.build(project, project / "dist", kinds, there)


def failure(project: Path, backend: Backend, index: FakeIndex | None = None) -> PackhorseError:
    """The error of a build, which leaves nothing in dist."""
    with pytest.raises(PackhorseError) as caught:
        run(project, backend, index=index)
    assert not project.joinpath("dist").exists()
    return caught.value


def test_a_wheel_says_where_it_comes_from(project: Path) -> None:
    """What a host, and a person two years later, wants to know."""
    result = run(project, Backend(), [artifacts.WHEEL])
    (built,) = result.artifacts
    contents = artifact.read(built.path)
    assert contents.processes == {"web": "run"}
    assert contents.manifest == result.manifest
    assert (contents.manifest.name, contents.manifest.version) == ("Sample-App", "0.1.0")
    assert contents.manifest.requires_python == ">=3.11"
    assert set(contents.manifest.builder) == {"packhorse", "build", "uv", "python"}


def test_what_was_asked_for_is_kept_and_the_wheel_always_comes_from_the_sdist(project: Path) -> None:
    """A wheel straight from the folder would hold what an earlier build left in build/lib."""
    backend = Backend()
    assert [item.kind for item in run(project, backend, [artifacts.WHEEL]).artifacts] == [artifacts.WHEEL]
    assert "--wheel" not in backend.asked[0]
    assert not [path for path in project.joinpath("dist").iterdir() if path.suffix != ".whl"]


def test_an_sdist_has_its_own_wheel_inside(project: Path) -> None:
    """Hosts build nothing: a backend is code of strangers."""
    (built,) = run(project, Backend(), [artifacts.SDIST]).artifacts
    ((name, digest),) = artifact.read(built.path).manifest.wheels.items()
    inside = artifact.embedded_wheel(built.path, name)
    assert (name, digest) == ("sample_app-0.1.0-py3-none-any.whl", hashlib.sha256(inside).hexdigest())
    project.joinpath(name).write_bytes(inside)
    assert built_dists.record_problems(project / name) == []


def test_a_new_lock_is_reported_once(project: Path) -> None:
    """It has to be committed: the command says so when it appears."""
    backend = Backend()
    assert run(project, backend, [artifacts.WHEEL]).lock_is_new
    assert not run(project, backend, [artifacts.WHEEL]).lock_is_new


def test_a_project_without_procfile_is_a_library(project: Path) -> None:
    """It is uploaded and never deployed: it has no lock, as others install it beside what they have."""
    project.joinpath("Procfile").unlink()
    result = run(project, Backend([]))
    assert result.library
    assert not result.lock.exists()
    for built in result.artifacts:
        assert artifact.manifest(built.path) == replace(
            result.manifest, wheels=artifact.manifest(built.path).wheels
        )
        with pytest.raises(PackhorseError, match="is a library: it was built without a Procfile"):
            artifact.read(built.path)


def test_files_without_a_procfile_are_a_mistake(project: Path) -> None:
    """Who lists them has an application, and forgot what starts it."""
    project.joinpath("Procfile").unlink()
    context = replace(a_context(project.parent, run=FakeRunner(Backend())), files=["pyproject.toml"])
    with pytest.raises(PackhorseError, match=r"there is no Procfile, but files in release\.toml"):
        artifacts.build(project, project / "dist", BOTH, context)


def test_a_procfile_with_a_mistake_is_refused_with_its_line(project: Path) -> None:
    """Before anything is built: it takes a second to know."""
    project.joinpath("Procfile").write_text("web: run\nworker\n")
    backend = Backend()
    assert "Procfile: line 2:" in failure(project, backend).message
    assert backend.asked == []


def test_a_broken_backend_is_shown_with_its_output(project: Path) -> None:
    """Both streams: backends use either."""
    error = failure(project, Backend(status=1))
    assert "build backend" in error.message
    assert "running sdist" in error.detail
    assert "SyntaxError" in error.detail


def test_an_sdist_gets_procfile_and_lock_though_its_backend_left_them_out(project: Path) -> None:
    """Each backend has a place of its own to name them, and nobody knows it at the first build."""
    (built,) = run(project, Backend([]), [artifacts.SDIST]).artifacts
    contents = artifact.read(built.path)
    assert contents.processes == {"web": "run"}
    assert [package.name for package in contents.lock.packages] == ["flask"]


def test_a_version_that_the_index_has_with_other_bytes_is_refused(project: Path) -> None:
    """It could not be uploaded, and nobody should deploy it from a folder."""
    name = "sample_app-0.1.0-py3-none-any.whl"
    there = FakeIndex({name: (f"/company/dev/+f/ab/{name}", "ab")})
    assert "already has" in failure(project, Backend(), there).message


def test_a_version_that_the_index_has_with_the_same_bytes_is_built_again(project: Path) -> None:
    """A second run of the same pipeline is not an error."""
    first = run(project, Backend()).artifacts
    files = {item.path.name: (f"/company/dev/+f/ab/{item.path.name}", item.sha256) for item in first}
    assert run(project, Backend(), index=FakeIndex(files)).artifacts == first


def test_the_backend_gets_the_time_of_the_sources_and_the_company_index(project: Path) -> None:
    """SOURCE_DATE_EPOCH is what backends agree on for reproducible builds."""
    runner = FakeRunner(Backend())
    artifacts.build(project, project / "dist", BOTH, a_context(project.parent, run=runner))
    environment = runner.environments[-1]
    assert environment["SOURCE_DATE_EPOCH"] == "315532800"
    assert environment["UV_DEFAULT_INDEX"] == "http://pypi.example.com/company/dev/+simple/"


def test_a_folder_of_static_files_that_the_wheel_lacks_is_said(project: Path) -> None:
    """The build has left it out, or release.toml names another one."""
    for folder, expected in (("sample_app/static", 1), ("sample_app", 0)):
        there = replace(a_context(project.parent, run=FakeRunner(Backend())), static=folder)
        said = artifacts.build(project, project / "dist", [artifacts.WHEEL], there).warnings
        assert sum("The wheel has no files in sample_app/static" in text for text in said) == expected
