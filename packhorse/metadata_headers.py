"""Headers of METADATA and PKG-INFO files, without those that nobody here reads: parsers of mail take long.

packaging's takes 15 s for 12,000 fields of different names in 64 kB.
"""

import re
from typing import NamedTuple

MOST = 512 * 1024  # bytes that are read: some packages have hundreds of requirements for their extras
_FIELDS = frozenset(
    [
        *(
            b"name",
            b"version",
            b"summary",
            b"description",
            b"description-content-type",
            b"author",
            b"author-email",
        ),
        *(b"maintainer", b"maintainer-email", b"license", b"license-expression", b"home-page"),
        *(b"download-url", b"project-url", b"keywords", b"classifier", b"platform", b"provides-extra"),
        *(b"requires-dist", b"requires-python"),
    ]
)
_END = re.compile(rb"\n\r?\n|\r\r\n?")
_HEADER = re.compile(rb"([!-9;-~]*):|[\t ]")  # what email.feedparser takes for one, or for more of the last


class Metadata(NamedTuple):
    """A METADATA file in two parts."""

    headers: bytes
    body: bytes
    is_cut: bool  # whether headers go on after MOST


def split(metadata: bytes) -> Metadata:
    """The headers of `metadata` that have a known field, and its body, the description (PEP 566)."""
    end = _END.search(metadata[: MOST + 2])
    kept = b"".join(_known(metadata[: end.start() + 1 if end else MOST].splitlines(keepends=True)))
    return Metadata(kept, metadata[end.end() :] if end else b"", end is None and len(metadata) > MOST)


def _known(lines: list[bytes]) -> list[bytes]:
    found: list[bytes] = []
    is_known = False
    for line in lines:
        header = _HEADER.match(line)
        if header is None:
            if line.startswith(b"From "):
                continue
            break  # for parsers of mail, the body begins
        if header[1] is not None:
            is_known = header[1].lower() in _FIELDS
        if is_known:
            found.append(line)
    return found
