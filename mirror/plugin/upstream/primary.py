"""Ask the primary of this replica what it decides: it knows files that its pages do not list."""

import json
from typing import Any

from mirror.plugin.simple import parse
from mirror.plugin.upstream.client import GatewayError, UpstreamClient, primary_of, read_body

_JSON = {"Accept": "application/json"}  # of a file: devpi's record of it, once policies let it pass


def serves(upstreams: UpstreamClient, xom: Any, client: str, path: str) -> bool:
    """Whether it serves the file at `path`, for which `client` asks.

    Raises GatewayError: 403 when a policy denies it.
    """
    primary = primary_of(xom)
    url = f"{primary.url.rstrip('/')}/{path}"
    try:
        with upstreams.slot(client), upstreams.stream(url, primary, headers=_JSON):
            return True
    except GatewayError as error:
        if error.status == 404:
            return False
        raise


def decisions(upstreams: UpstreamClient, xom: Any, client: str, index: str, project: str) -> dict[str, Any]:
    """Its `+why` of a project (guards/why_views.py), for which `client` asks. Raises GatewayError."""
    primary = primary_of(xom)
    url = f"{primary.url.rstrip('/')}/{index}/+why/{project}"
    with upstreams.slot(client), upstreams.stream(url, primary, headers=_JSON) as answer:
        content = read_body(answer, parse.LARGEST)
    try:
        found: dict[str, Any] = json.loads(content)["result"]
    except (ValueError, KeyError, TypeError) as error:
        raise GatewayError(502, "the primary does not say what it decides") from error
    return found
