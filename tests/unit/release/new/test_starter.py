"""The first files of a project are valid, explained, and never in the place of others."""

import tomllib
from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.config import release_toml
from release.host.formats import procfile
from release.new import starter

FLASK = "import yaml\nfrom flask import Flask\napp = Flask(__name__)\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An app.py with templates, as tutorials have it."""
    folder = tmp_path / "My Shop"
    (folder / "templates").mkdir(parents=True)
    (folder / "app.py").write_text(FLASK)
    return folder


def test_a_folder_with_an_app_gets_all_that_it_needs(project: Path) -> None:
    starter.write(project, starter.plan(project))
    package = tomllib.loads((project / "pyproject.toml").read_text())
    assert package["project"]["name"] == "my-shop"
    assert package["project"]["dependencies"] == ["flask", "gunicorn", "PyYAML"]
    assert package["tool"]["setuptools"]["py-modules"] == ["app"]
    assert package["tool"]["setuptools"]["packages"]["find"]["include"] == ["templates", "templates.*"]
    commands = procfile.parse((project / "Procfile").read_bytes(), "Procfile")
    assert commands == {"web": "gunicorn app:app --workers 2 --no-control-socket"}
    settings = release_toml.load(project)
    assert (settings.app, settings.index, settings.health.path) == ("my-shop", None, None)
    assert "graft templates" in (project / "MANIFEST.in").read_text()
    ignored = (project / ".gitignore").read_text().splitlines()
    assert {"dist/", "*.egg-info/", ".venv/", ".env"} <= set(ignored)


def test_a_folder_with_the_name_of_a_package_that_it_needs_gets_another_name(tmp_path: Path) -> None:
    """The first upload would hide that package."""
    folder = tmp_path / "Flask"
    folder.mkdir()
    (folder / "app.py").write_text(FLASK)
    assert starter.plan(folder).app == "flask-server"


def test_requirements_are_not_read_for_a_project_that_names_its_own(project: Path) -> None:
    """They may be of another tool, and no text at all."""
    (project / "pyproject.toml").write_text('[project]\nname = "shop"\n')
    (project / "requirements.txt").write_bytes(b"\xff\xfe")
    assert starter.plan(project).app == "shop"


def test_files_that_are_there_stay(project: Path) -> None:
    """A second run writes nothing."""
    (project / "Procfile").write_text("web: mine\n")
    (project / ".gitignore").write_text("mine\n")
    first = starter.plan(project)
    assert first.kept == ["Procfile", ".gitignore"]
    starter.write(project, first)
    again = starter.plan(project)
    assert again.files == {}
    assert (project / "Procfile").read_text() == "web: mine\n"
    assert (project / ".gitignore").read_text() == "mine\n"


def test_a_file_that_appears_meanwhile_is_not_overwritten(project: Path) -> None:
    planned = starter.plan(project)
    (project / "release.toml").write_text("mine")
    with pytest.raises(PackhorseError, match=r"release.toml: File exists"):
        starter.write(project, planned)
    assert (project / "release.toml").read_text() == "mine"
    assert not (project / "Procfile").exists()


def test_what_another_backend_or_pyproject_has_already_is_not_written(project: Path) -> None:
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "shop"\nversion = "1"\ndependencies = ["flask"]\n[tool.release]\napp = "shop"\n'
    )
    planned = starter.plan(project)
    assert list(planned.files) == ["Procfile", ".gitignore"]
    assert planned.advice == ["Add gunicorn to the dependencies in pyproject.toml: the Procfile starts it."]


def test_requirements_are_taken_from_their_file(project: Path) -> None:
    """Options and addresses are no requirements of a package; hashes belong into the lock."""
    (project / "requirements.txt").write_text(
        "-r other.txt\n# a comment\nFlask==3.1 --hash=sha256:aa \\\n  --hash=sha256:bb\n"
        "gunicorn>=23 ; python_version > '3'  # why\nhttps://example.com/a.whl\n\n"
    )
    text = starter.plan(project).files["pyproject.toml"]
    assert tomllib.loads(text)["project"]["dependencies"] == [
        "Flask==3.1",
        "gunicorn>=23 ; python_version > '3'",
    ]


def test_a_given_index_is_written(project: Path) -> None:
    starter.write(project, starter.plan(project, "https://pypi.example.com/team/dev"))
    assert release_toml.load(project).index == "https://pypi.example.com/team/dev"


def test_other_applications_are_named(project: Path) -> None:
    (project / "admin.py").write_text(FLASK)
    assert starter.plan(project).advice == ["There is admin:app too: change web in the Procfile to serve it."]


def test_a_folder_without_an_application_is_told_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "tool.py").write_text("print(1)\n")
    with pytest.raises(PackhorseError, match="define no WSGI or ASGI application") as caught:
        starter.plan(tmp_path)
    assert "Procfile" in caught.value.hint
    (tmp_path / "Procfile").write_text("web: python -m tool\n")
    lacking = {"pyproject.toml", "MANIFEST.in", "release.toml", ".gitignore"}
    assert starter.plan(tmp_path).files.keys() == lacking


def test_files_that_commands_read_are_proposed_for_the_working_directory(project: Path) -> None:
    """`alembic upgrade head` and `--ini shop.ini` work as people write them; migrations are no package."""
    for name in ("alembic.ini", "shop.ini", "other.ini"):
        (project / name).touch()
    (project / "migrations").mkdir()
    (project / "migrations" / "script.py.mako").touch()
    (project / "Procfile").write_text("web: serve --ini=shop.ini\nrelease: alembic upgrade head\n")
    planned = starter.plan(project)
    starter.write(project, planned)
    assert release_toml.load(project).files == ["alembic.ini", "shop.ini", "migrations/"]
    assert "migrations" not in planned.files["pyproject.toml"]
    (project / "release.toml").write_text('files = ["alembic.ini"]\n')
    assert starter.plan(project).advice == [
        "Add shop.ini, migrations/ to files in release.toml, to have them in the working directory."
    ]
