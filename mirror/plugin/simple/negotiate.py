"""Request headers in, the form of a page out: PEP 691 with quality values, and gzip or not. Pure."""

from functools import lru_cache

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "application/vnd.pypi.simple.v1+html"
TEXT = "text/html"
# What a client may ask for -> what it is called in the answer, the one that we prefer first.
OFFERS = {
    JSON: JSON,
    HTML: HTML,
    TEXT: TEXT,
    "application/vnd.pypi.simple.latest+json": JSON,
    "application/vnd.pypi.simple.latest+html": HTML,
}


@lru_cache(maxsize=1024)
def content_type(accept: str | None, wanted: str | None = None) -> str | None:
    """The content type to answer with, None when the client takes none of ours (406).

    `wanted` is the `format` of the query, which wins (PEP 691). Who names no type gets text/html:
    that is what clients expect who have never heard of another.
    """
    if wanted is not None:
        return OFFERS.get(wanted)
    ranges = _weighted(accept) if accept and accept.strip() else {"*/*": 1.0}
    best: tuple[float, int, int] = (0.0, 0, 0)
    answer = None
    for position, offer in enumerate(OFFERS):
        quality, named = _quality(offer, ranges)
        preference = -position if named == 2 else int(offer == TEXT)
        if quality > 0 and (quality, named, preference) > best:
            best, answer = (quality, named, preference), OFFERS[offer]
    return answer


@lru_cache(maxsize=1024)
def takes_gzip(accept_encoding: str | None) -> bool:
    """Whether the body may be compressed (RFC 9110, 12.5.3)."""
    codings = _weighted(accept_encoding or "")
    return codings.get("gzip", codings.get("x-gzip", codings.get("*", 0.0))) > 0


def _quality(offer: str, ranges: dict[str, float]) -> tuple[float, int]:
    """The client's quality for `offer`, and how precisely it was named: the most precise range counts."""
    for named, media_range in ((2, offer), (1, offer.partition("/")[0] + "/*"), (0, "*/*")):
        if media_range in ranges:
            return ranges[media_range], named
    return 0.0, 0


def _weighted(header: str) -> dict[str, float]:
    """The values of a header with their qualities; other parameters are ignored."""
    values = {}
    for item in header.lower().split(","):
        value, *parameters = (part.strip() for part in item.split(";"))
        if value:
            weights = [parameter[2:] for parameter in parameters if parameter.startswith("q=")]
            values[value] = _number(weights[0]) if weights else 1.0
    return values


def _number(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 0.0
