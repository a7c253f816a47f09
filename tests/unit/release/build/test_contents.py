"""A wheel that lacks what the application needs is found at the build; one that is right is left alone."""

import zipfile
from pathlib import Path

import pytest

from release.build import contents

FLASK = "from flask import Flask\napp = Flask('x')\n"


def wheel(folder: Path, files: dict[str, str]) -> Path:
    path = folder / "shop-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**files, "shop-1.0.dist-info/METADATA": ""}.items():
            archive.writestr(name, text)
    return path


def test_modules_that_the_backend_left_out_are_named(tmp_path: Path) -> None:
    """setuptools takes one top-level package and leaves its neighbours."""
    built = wheel(tmp_path, {"app.py": FLASK})
    tracked = ["app.py", "migrations/env.py", "migrations/0001.py", "tests/test_app.py", "setup.py"]
    assert list(contents.left_out(built, tracked)) == [
        "migrations/0001.py and 1 more in migrations/ are not in the wheel."
    ]


def test_files_of_a_package_that_were_left_out_are_named(tmp_path: Path) -> None:
    built = wheel(tmp_path, {"shop/__init__.py": FLASK, "shop/static/a.css": ""})
    tracked = [
        *(
            "src/shop/__init__.py",
            "src/shop/static/a.css",
            "src/shop/templates/home.html",
            "src/shop/README.md",
        ),
        *("src/shop/style.scss", "docs/a.png", "compose.yaml"),
    ]
    assert list(contents.left_out(built, tracked)) == ["src/shop/templates/home.html is not in the wheel."]


@pytest.mark.parametrize(
    ("command", "warning"),
    [
        ("gunicorn shop.web:app", None),
        ("gunicorn shop.web:create() --workers 2", "needs create in shop.web"),
        ("gunicorn 'shop.web:make(1, 2)'", None),
        ("uvicorn other:app --fd 3", "needs other, which is not in the wheel"),
        ("uvicorn another.package:app --fd 3", None),  # a dependency's
        ("python -m shop.worker", "needs shop.worker, which is not in the wheel"),
        ("python -m http.server", None),
        ("gunicorn -b 127.0.0.1:80 shop.web:app", None),
        ("gunicorn shop.star:app", None),
        ("gunicorn shop.guarded:app", None),
        ("sh -c 'x:y'", None),
    ],
)
def test_what_a_process_names_is_looked_for(command: str, warning: str | None, tmp_path: Path) -> None:
    """Of the project's own modules: those of dependencies are not seen here."""
    built = wheel(
        tmp_path,
        {
            "shop/__init__.py": "",
            "shop/web.py": f"{FLASK}def make(a, b): ...\n",
            "shop/star.py": "from shop.web import *\n",
            "shop/guarded.py": "try:\n    import x\nexcept ImportError:\n    app = 1\n",
        },
    )
    tracked = [*(f"shop/{name}.py" for name in ("__init__", "web", "worker", "star", "guarded")), "other.py"]
    found = [text for text in contents.warnings(built, tracked, {"web": command}) if "Procfile" in text]
    assert len(found) == (warning is not None)
    assert all(warning is not None and warning in text for text in found)


def test_files_that_commands_need_in_their_working_directory_are_named(tmp_path: Path) -> None:
    """It is empty but for `files` of release.toml; what is listed there is no part of the wheel."""
    built = wheel(tmp_path, {"shop.py": FLASK})
    tracked = ["shop.py", "manage.py", "kinto.ini", "alembic.ini", "migrations/env.py", "README"]
    processes = {
        "web": "gunicorn shop:app --paste ./kinto.ini",
        "release": "python manage.py migrate",
        "worker": "alembic upgrade head",
    }
    assert [text.partition(",")[0] for text in contents.warnings(built, tracked, processes)] == [
        "web in the Procfile needs kinto.ini",
        "release in the Procfile needs manage.py",
        "worker in the Procfile needs alembic.ini",
    ]
    beside = [path for path in tracked if path not in ("shop.py", "README")]
    assert contents.warnings(built, tracked, processes, beside) == []
    assert list(contents.left_out(built, tracked)) == ["migrations/env.py is not in the wheel."]
    assert list(contents.left_out(built, tracked, beside)) == []


def test_what_servers_import_from_the_wheel_is_found(tmp_path: Path) -> None:
    """Dependencies' applications are not the project's to check; a factory is named by its module, too."""
    built = wheel(tmp_path, {"shop.py": FLASK, "admin/__init__.py": "", "tool.py": ""})
    commands = [
        "gunicorn shop:app",
        "uvicorn 'admin:make()' --factory",
        "uvicorn other:app",
        "python -m tool",
    ]
    assert contents.served(built, commands) == ["admin", "shop"]
