"""The application is found in the sources as people write them, and nothing of theirs runs."""

from pathlib import Path

import pytest

from release.new import application
from release.new.application import ASGI, WSGI, Application

FOUND = {
    "flask": ("app.py", "from flask import Flask\napp = Flask(__name__)\n", "app:app", WSGI),
    "an attribute": ("web.py", "import flask\nsite = flask.Flask('x')\n", "web:site", WSGI),
    "another name": ("web.py", "from flask import Flask as F\nsite: F = F('x')\n", "web:site", WSGI),
    "a factory": (
        "shop/__init__.py",
        "from flask import Flask\ndef create_app(test=None):\n    app = Flask('x')\n    return app\n",
        "shop:create_app()",
        WSGI,
    ),
    "fastapi": ("main.py", "from fastapi import FastAPI\napi = FastAPI()\n", "main:api", ASGI),
    "starlette": (
        "src/site/web.py",
        "from starlette.applications import Starlette\napp = Starlette(debug=True)\n",
        "site.web:app",
        ASGI,
    ),
    "django": (
        "mysite/wsgi.py",
        "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n",
        "mysite.wsgi:application",
        WSGI,
    ),
    "pyramid": ("app.py", "c = C()\napp = c.make_wsgi_app()\n", "app:app", WSGI),
    "dash": ("app.py", "import dash\napp = dash.Dash()\n", "app:app.server", WSGI),
    "plain WSGI": ("app.py", "def application(environ, start_response): ...\n", "app:application", WSGI),
    "plain ASGI": ("app.py", "async def app(scope, receive, send): ...\n", "app:app", ASGI),
}


def project(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


@pytest.mark.parametrize(("name", "text", "reference", "interface"), FOUND.values(), ids=FOUND)
def test_an_application_is_found(
    name: str, text: str, reference: str, interface: str, tmp_path: Path
) -> None:
    (found,) = application.find(project(tmp_path, {name: text})).applications
    assert (found.reference, found.interface) == (reference, interface)


@pytest.mark.parametrize(
    "text",
    [
        "def create_app(config): return Flask(config)",  # nothing could call it
        "class App: app = Flask()",
        "app = Unknown()",
        "def app(:",
        "\0",
        "(" * 2000,
    ],
)
def test_what_is_none_is_not_found(text: str, tmp_path: Path) -> None:
    """Files that are no Python, or not of this version, are left out."""
    assert (
        application.find(project(tmp_path, {"a.py": f"from flask import Flask\n{text}\n"})).applications == ()
    )


def test_the_likeliest_comes_first(tmp_path: Path) -> None:
    """A module made to be served goes before one that defines an application on the way."""
    flask = "from flask import Flask\n{} = Flask('x')\n"
    files = {
        "shop/deep/app.py": flask.format("app"),
        "shop/other.py": flask.format("helper"),
        "wsgi.py": flask.format("application"),
        "tests/app.py": flask.format("app"),
    }
    found = application.find(project(tmp_path, files)).applications
    assert [one.reference for one in found] == ["wsgi:application", "shop.deep.app:app", "shop.other:helper"]


def test_virtualenvs_and_tests_are_not_searched(tmp_path: Path) -> None:
    flask = "from flask import Flask\napp = Flask('x')\n"
    files = {"mine/pyvenv.cfg": "", "mine/app.py": flask, "tests/app.py": flask, ".tox/app.py": flask}
    assert application.find(project(tmp_path, files)).applications == ()


@pytest.mark.parametrize(
    ("route", "path"),
    [("/healthz", "/healthz"), ("health/", "/health/"), ("/up", "/up"), ("/", "/"), ("/shop", "/")],
)
def test_the_health_check_is_a_path_that_the_application_has(route: str, path: str, tmp_path: Path) -> None:
    """Without one it is the root: a check that nothing answers would fail the first deploy."""
    assert application.find(project(tmp_path, {"app.py": f"ROUTE = {route!r}\n"})).health_path == path


def test_what_django_and_celery_need_is_found(tmp_path: Path) -> None:
    files = {
        "manage.py": "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'mysite.settings')\n",
        "mysite/urls.py": "from django.urls import path\nurlpatterns = [path('admin/', 1)]\n",
        "mysite/queue.py": "from celery import Celery\napp = Celery('x')\n",
    }
    found = application.find(project(tmp_path, files))
    assert (found.settings, found.celery, found.health_path) == (
        "mysite.settings",
        "mysite.queue",
        "/admin/login/",
    )
    assert found.imported == {"os", "django", "celery"}
    assert found.own == {"manage", "mysite"}


def test_no_code_of_the_project_runs(tmp_path: Path) -> None:
    text = f"open({str(tmp_path / 'ran')!r}, 'w')\nfrom flask import Flask\napp = Flask('x')\n"
    assert application.find(project(tmp_path, {"app.py": text})).applications == (
        Application("app:app", WSGI, "flask"),
    )
    assert not (tmp_path / "ran").exists()
