"""Static files: url_for() with hashed names and STATIC_URL, served by WhiteNoise with long caching."""

import json
import re
from pathlib import Path
from typing import Any

from flask import Flask
from whitenoise import WhiteNoise

from sample_app.config import Settings

HASHED = re.compile(r"\.[0-9a-f]{12}\.\w+$")
"""The names that setup.py makes from a file's content: what they name never changes."""


class Application(Flask):
    """Flask whose `url_for("static", filename=…)` knows the hashed names."""

    static_names: dict[str, str]
    static_base = ""

    def url_for(self, endpoint: str, **values: Any) -> str:  # noqa: ANN401
        """Flask's url_for; static files get their hashed name, below STATIC_URL if it is set."""
        if endpoint != "static":
            return super().url_for(endpoint, **values)
        name = self.static_names.get(values["filename"], values["filename"])
        if self.static_base:
            return f"{self.static_base}/{name}"
        return super().url_for(endpoint, **values | {"filename": name})


def make(name: str, settings: Settings) -> Application:
    """An application that serves its static files itself, unless a web server in front does."""
    app = Application(name)
    folder = Path(app.root_path) / "static"
    manifest = folder / "manifest.json"
    app.static_names = json.loads(manifest.read_text()) if manifest.exists() else {}
    app.static_base = (settings.static_url or "").rstrip("/")
    app.wsgi_app = WhiteNoise(  # type: ignore[method-assign]
        app.wsgi_app,
        root=folder,
        prefix="static",
        autorefresh=settings.environment == "development",
        immutable_file_test=is_hashed,
        add_headers_function=add_headers,
    )
    return app


def is_hashed(_path: str, url: str) -> bool:
    """Whether browsers may keep the file for ever."""
    return bool(HASHED.search(url))


def add_headers(headers: Any, _path: str, _url: str) -> None:  # noqa: ANN401  # wsgiref's Headers, or a dict
    """What every static file is sent with."""
    headers["X-Content-Type-Options"] = "nosniff"
