"""Patch devpi's HTTP client: what a user lets it send (`devpi push … URL`) goes to allowed hosts only."""

from typing import Any

import httpx
from devpi_server.httpclient import HTTPClient

from mirror.plugin.upstream.allowed_hosts import AllowedHosts, UpstreamTransport


def apply(xom: Any, hosts: AllowedHosts) -> None:
    """Replace the client for all that is asked of no upstream; a replica relays writes with it."""
    devpi_client = xom.http
    if isinstance(devpi_client, HTTPClient):  # it is another in offline mode
        devpi_client.client.close()
        own = xom.config.primary_url.url if xom.is_replica() else ""
        transport = UpstreamTransport(hosts, devpi_client._ssl_context, own)  # noqa: SLF001 (listed in compat.py)
        devpi_client.client = httpx.Client(headers=devpi_client.headers, transport=transport)
