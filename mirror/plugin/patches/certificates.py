"""Let all HTTP clients of devpi have one TLS context: each would read the certificates again, for 50 ms."""

from typing import Any

from devpi_server.httpclient import HTTPClient

from mirror.plugin.patches import replace_members


def apply(xom: Any) -> None:
    """Take that of the first client, which is made now: else fifty threads would make it at once."""
    if isinstance(xom.http, HTTPClient):
        replace_members(HTTPClient, _ssl_context=xom.http._ssl_context)  # noqa: SLF001 (listed in compat.py)
