r"""HTML in, the rows of the files that it links to out, if all links are written as nearly all indexes do.

    <a href="https://…/demo-1.0.zip#sha256=…" data-requires-python="&gt;=3.8" …>demo-1.0.zip</a><br/>

Nothing is left to unquote, to unescape or to resolve, so that rows are made of the expression's groups
as they are: a tenth of what reading each link takes. Which characters the groups have is looked at once
for all links: an expression with classes of them takes twice as long.
"""

import re
import string
from collections.abc import Iterable
from functools import lru_cache

from mirror.plugin.simple import file_rows, html_page
from mirror.plugin.simple.file_rows import ROOT, ProjectFile, Rows

_LINK = re.compile(
    r'<a href="(https?://[^#]*/)([^#]+)#sha256=([^"]{3})([^"]{13})([^"]{48})"'
    rf"{html_page.ATTRIBUTES}>[^<]*+</a>\s*+(?:<br ?/?>)?+",
    re.ASCII,
)
HEX = b"0123456789abcdef"
NAME = f"{string.ascii_letters}{string.digits}_.+!~-".encode()
FOLDER = f"{string.ascii_letters}{string.digits}_.:~+/-".encode()
# What makes a link mean something else, or none; and links that are written otherwise.
_UNUSUAL = re.compile(r"<(?:(?:a|base|script|style)\b|!--)", re.IGNORECASE)


def split(text: str) -> tuple[list[str], Rows, str] | None:
    """Names, rows whose `url` lacks the index, and the rest of `text`; None if a link is unusual."""
    parts = _LINK.split(text)
    rest = "".join(parts[::8])
    names = parts[2::8]
    usual = (
        has_only(HEX, (*parts[3::8], *parts[4::8], *parts[5::8]))
        and has_only(NAME, names)
        and has_only(FOLDER, parts[1::8])
    )
    if not usual or _UNUSUAL.search(rest) or len(set(names)) < len(names):
        return None
    members = [_members(said, name[-4:] == ".whl") for said, name in zip(parts[6::8], names, strict=True)]
    links = zip(names, *(parts[group::8] for group in (3, 4, 5, 7)), members, strict=True)
    rows = [
        f'{{"filename":"{name}","url":"{ROOT}+f/{first}/{second}/{name}"'
        f',"hashes":{{"sha256":"{first}{second}{third}"}}{_time(time)}{more}}}'
        for name, first, second, third, time, (_, more) in links
    ]
    origins = [
        f"{offered}{folder}{name}"
        for folder, name, (offered, _) in zip(parts[1::8], names, members, strict=True)
    ]
    return names, Rows("\n".join(rows), "\n".join(origins)), rest


def has_only(allowed: bytes, texts: Iterable[str]) -> bool:
    """Whether all characters of all texts are `allowed` ones. Raises TypeError for what is no text."""
    return not "".join(texts).encode().translate(None, allowed)


def _time(time: str | None) -> str:
    return f',"upload-time":"{time}"' if time else ""


@lru_cache(maxsize=1000)
def _members(attributes: str, is_wheel: bool) -> tuple[str, str]:  # noqa: FBT001 (the key of a cache)
    """How the origins begin, and the members of the rows, that many files have in common."""
    name, hashes = "x.whl" if is_wheel else "x.zip", {"sha256": "0" * 64}
    python, yanked, size, _, metadata, provenance = html_page.said_in(attributes)
    file = file_rows.promised(
        ProjectFile(name, "", "x", hashes, python, yanked, size, None, metadata, provenance)
    )
    return "+" if file.offered else "", file_rows.optional(file)
