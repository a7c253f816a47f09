"""Origins of URLs, and the header of a login: what an index gets, and no other server."""

import base64
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


def of(url: str) -> tuple[str, str, int | None] | None:
    """Scheme, host and port (RFC 6454); None for a URL whose port is none."""
    parts = urlsplit(url)
    try:
        return parts.scheme, (parts.hostname or "").lower(), parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None


def basic(username: str, password: str) -> str:
    """The header `Authorization` of a login (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def of_token(token: str) -> str:
    """The same of a token: without a user, devpi takes it for any; ours takes the name __token__, too."""
    return basic("", token)
