"""Text of `mirror publishers`, made of the server's answer."""

from collections.abc import Iterator, Mapping
from typing import Any


def as_text(found: Mapping[str, Any]) -> str:
    """The publishers in force."""
    lines = [line for publisher in found.get("publishers", ()) for line in _lines(publisher)]
    if lines:
        lines.append(f"ID tokens are for the audience {found['audience']}")
    else:
        lines.append("no publisher is declared: [[publishers]] in mirror.toml has them")
    return "\n".join(lines)


def _lines(publisher: Mapping[str, Any]) -> Iterator[str]:
    yield f"{publisher['index']}  {', '.join(publisher['projects'])}"
    keys = "keys from a file" if publisher.get("keys") else "keys from the issuer"
    yield f"  issuer: {publisher['issuer']} ({keys})"
    yield from (f"  {name}: {publisher[name]}" for name in ("workflow", "ref") if name in publisher)
    yield from (f"  {name}: {value}" for name, value in publisher["claims"].items())
