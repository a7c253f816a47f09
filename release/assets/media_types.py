"""Content types of static files by the suffixes of their names: those that nginx sends, from its settings."""

import re
from importlib import resources

DEFAULT = "application/octet-stream"
SETTINGS = "ansible/roles/nginx/files/static.settings"


def of(name: str, known: dict[str, str]) -> str:
    """The type of the file `name`, of the `known` ones."""
    return known.get(name.rpartition(".")[2].lower(), DEFAULT)


def known() -> dict[str, str]:
    """Suffix -> type, with the charset of texts, as nginx has it."""
    text = (resources.files("release") / SETTINGS).read_text()
    texts = set(re.findall(r"[a-z]+/[\w.+-]+", (re.findall(r"charset_types ([^;]*);", text) or [""])[0]))
    texts.add("text/html")  # of which nginx says that it is understood
    return {
        suffix: f"{kind}; charset=utf-8" if kind in texts else kind
        for kind, suffixes in re.findall(r"^ +([a-z]+/[\w.+-]+) ([\w ]+);$", text, re.MULTILINE)
        for suffix in suffixes.split()
    }
