"""Content negotiation of project pages: Accept with quality values (PEP 691), and gzip or not. Pure."""

import re
from functools import lru_cache

from webob.acceptparse import create_accept_encoding_header, create_accept_header

from mirror.plugin.simple.content_types import HTML, JSON, TEXT

# What a client may ask for -> what it is called in the answer, the one that we prefer first.
OFFERS = {
    JSON: JSON,
    HTML: HTML,
    TEXT: TEXT,
    "application/vnd.pypi.simple.latest+json": JSON,
    "application/vnd.pypi.simple.latest+html": HTML,
    "application/json": JSON,
}
# As in "text/html; charset=utf-8", of which no offer of ours would be one.
_PARAMETER = re.compile(r"\s*;\s*(?!q\s*=)[^;,]*")


@lru_cache(maxsize=1024)
def content_type(accept: str | None, query_format: str | None = None) -> str | None:
    """The content type to answer with, None when the client takes none of ours (406).

    `query_format` is the `format` of the query, which wins (PEP 691). Who names no type, or no header that
    can be read, gets text/html: that is what clients expect who have never heard of another.
    """
    if query_format is not None:
        return OFFERS.get(query_format)
    ranges = _PARAMETER.sub("", (accept or "").lower()).strip()
    header = create_accept_header(ranges or None)
    named = {media_range for media_range, *_ in header.parsed or ()}
    # Of equal quality, what the client names comes before what its wildcards include.
    preferred = sorted(OFFERS, key=lambda offer: (offer not in named, offer not in named and offer != TEXT))
    acceptable = header.acceptable_offers(preferred)
    return OFFERS[acceptable[0][0]] if acceptable else None


@lru_cache(maxsize=1024)
def takes_gzip(accept_encoding: str | None) -> bool:
    """Whether the body may be compressed (RFC 9110, 12.5.3): only for those who say so."""
    header = create_accept_encoding_header(accept_encoding or "")
    return bool(header.acceptable_offers(["gzip"]))
