"""Places that an application would write to in vain are named at the build; others are left alone."""

import pytest

from release.build import data_paths


@pytest.mark.parametrize(
    "source",
    [
        "app.config['SQLALCHEMY_DATABASE_URI'] = 'sqlite:///shop.db'",
        "engine = create_engine('sqlite+aiosqlite:///./shop.db')",
        "DATABASES = {'default': {'NAME': BASE_DIR / 'db.sqlite3'}}",
        "NAME = os.path.join(os.path.dirname(__file__), 'shop.db')",
        "db = sqlite3.connect('shop.db')",
        "app = Flask(__name__, instance_relative_config=True)",
        "MEDIA_ROOT = BASE_DIR / 'media'",
        "app.config['UPLOAD_FOLDER'] = 'uploads'",
    ],
)
def test_a_place_in_the_release_is_named_with_its_line(source: str) -> None:
    (warning,) = data_paths.warnings([("shop/settings.py", f"x = 1\n{source}\n".encode())], {}, {})
    assert warning.startswith("shop/settings.py line 2: ")
    assert "$DATA_DIR" in warning


@pytest.mark.parametrize(
    "source",
    [
        "url = 'sqlite:////srv/shop.db'",
        "url = 'sqlite:///:memory:'",
        "url = f\"sqlite:///{os.environ['DATA_DIR']}/shop.db\"",
        "url = os.environ.get('DATABASE_URL', 'sqlite:///shop.db')",
        "url = config('DATABASE_URL', default='sqlite:///shop.db')",
        "NAME = Path(os.environ['DATA_DIR']) / 'db.sqlite3'",
        "NAME = os.environ.get('DATABASE', BASE_DIR / 'db.sqlite3')",
        "NAME = Path(os.environ.get('DATA_DIR', BASE_DIR)) / 'db.sqlite3'",
        "MEDIA_ROOT = Path(os.environ.get('DATA_DIR', BASE_DIR)) / 'media'",
        "app = Flask(__name__, instance_path=os.environ['DATA_DIR'], instance_relative_config=True)",
        "MEDIA_ROOT = os.environ['DATA_DIR']",
        "MEDIA_ROOT = '/srv/uploads'",
        "# sqlite:///shop.db",
        "TEMPLATES = [BASE_DIR / 'templates']",
        "not python",
    ],
)
def test_other_places_are_left_alone(source: str) -> None:
    """A default for developers is one of them: on hosts, the environment goes before it."""
    assert list(data_paths.warnings([("shop/settings.py", source.encode())], {}, {})) == []


def test_settings_commands_and_values_are_looked_at() -> None:
    files = [
        ("alembic.ini", b"# sqlite:///no.db\nsqlalchemy.url = sqlite:///shop.db\n"),
        ("README.md", b"sqlite:///shop.db"),
    ]
    commands = {
        "web": "datasette serve shop.db --port $PORT",
        "worker": "work --database=$DATA_DIR/shop.db",
        "release": "sh -c 'DATABASE_URL=sqlite:///shop.db migrate'",
    }
    values = {"production": {"DATABASE_URL": "sqlite:///shop.db", "KEY": "sqlite"}}
    assert [text.partition(": it lies")[0] for text in data_paths.warnings(files, commands, values)] == [
        "alembic.ini line 2: sqlite:///shop.db",
        "web in the Procfile: shop.db",
        "release in the Procfile: sqlite:///shop.db",
        "DATABASE_URL of production: sqlite:///shop.db",
    ]
