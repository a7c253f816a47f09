"""Say which projects an application depends on, from its requirements.txt or from what its files import."""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from release.new.application import ASGI, WSGI, Application, Sources

SERVERS = {WSGI: "gunicorn", ASGI: "uvicorn"}
# Modules whose project has another name than they have.
_PROJECTS = {
    "bs4": "beautifulsoup4",
    "corsheaders": "django-cors-headers",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "environ": "django-environ",
    "jwt": "PyJWT",
    "MySQLdb": "mysqlclient",
    "PIL": "pillow",
    "psycopg2": "psycopg2-binary",
    "rest_framework": "djangorestframework",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
}


def of_project(project: Path, sources: Sources, chosen: Application | None) -> list[str]:
    """Requirements (PEP 508) of the project in folder `project`, its server among them; sorted."""
    path = project / "requirements.txt"
    found = _requirements(path.read_text(encoding="utf-8")) if path.exists() else _imported(sources)
    server = server_missing(found, chosen)
    return sorted([*found, *([server] if server else [])], key=str.lower)


def server_missing(requirements: Iterable[str], chosen: Application | None) -> str | None:
    """The server that runs `chosen`, unless it is among the `requirements`."""
    if chosen is None:
        return None
    server = SERVERS[chosen.interface]
    return (
        None
        if any(re.match(rf"{server}(?![\w.-])", line, re.IGNORECASE) for line in requirements)
        else server
    )


def _requirements(text: str) -> list[str]:
    """Lines of a requirements file that name a project; options, files and comments are left out."""
    lines = (re.sub(r"(^|\s)#.*", "", line).split(" --", 1)[0].rstrip("\\ ") for line in text.splitlines())
    return sorted(
        {line.strip() for line in lines if re.match(r"[A-Za-z0-9]", line) and "://" not in line[:12]}
    )


def _imported(sources: Sources) -> list[str]:
    modules = sources.imported - sources.own - sys.stdlib_module_names
    return sorted({_PROJECTS.get(name, name.replace("_", "-")) for name in modules})
