r"""HTML in, the rows of the files that it links to out, if all links are written as nearly all indexes do.

    <a href="https://…/demo-1.0.zip#sha256=…" data-requires-python="&gt;=3.8" …>demo-1.0.zip</a><br/>

The expression leaves nothing to unquote, to unescape or to resolve, so that rows are made of its
groups as they are: a tenth of what reading each link takes.
"""

import re
from functools import lru_cache

from mirror.plugin import file_facts, html_page
from mirror.plugin.file_facts import FileFacts

_LINK = re.compile(
    r'<a href="(https?://[\w.:~+/-]*/)([\w.+!~-]++)#sha256=([0-9a-f]{3})([0-9a-f]{13})([0-9a-f]{48})"'
    rf"{html_page.ATTRIBUTES}>[^<]*+</a>\s*+(?:<br ?/?>)?+",
    re.ASCII,
)
# What makes a link mean something else, or none; and links that are written otherwise.
_UNUSUAL = re.compile(r"<(?:(?:a|base|script|style)\b|!--)", re.IGNORECASE)


def split(text: str) -> tuple[dict[str, str], str] | None:
    """Rows by file name, whose `url` lacks the index, and the rest of `text`; None if a link is unusual."""
    parts = _LINK.split(text)
    rest = "".join(parts[::8])
    names = parts[2::8]
    if _UNUSUAL.search(rest) or len(set(names)) < len(names):
        return None
    links = zip(parts[1::8], names, *(parts[group::8] for group in range(3, 8)), strict=True)
    rows = [
        f'{{"filename":"{name}","url":"+f/{first}/{second}/{name}","from":"{folder}{name}"'
        f',"hashes":{{"sha256":"{first}{second}{third}"}}{_time(time)}{_more(said, name[-4:] == ".whl")}}}'
        for folder, name, first, second, third, said, time in links
    ]
    return dict(zip(names, rows, strict=True)), rest


def _time(time: str | None) -> str:
    return f',"upload-time":"{time}"' if time else ""


@lru_cache(maxsize=1000)
def _more(attributes: str, is_wheel: bool) -> str:  # noqa: FBT001 (the key of a cache)
    """The members of a row that many files have in common."""
    name, hashes = "x.whl" if is_wheel else "x.zip", {"sha256": "0" * 64}
    python, yanked, size, _, metadata, provenance = html_page.said_in(attributes)
    return file_facts.optional(
        FileFacts(name, "", "x", hashes, python, yanked, size, None, metadata, provenance)
    )
