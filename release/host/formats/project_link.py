"""Links that a package states about itself (Project-URL, Home-page): untrusted, only https is kept."""

import re
from collections.abc import Iterable

# An address that a terminal or a page shows as it is: ASCII, without a login, quotes, spaces or brackets.
_LINK = re.compile(
    r"https://[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?(/[A-Za-z0-9._~!$&()*+,;=:@%/?#-]*)?"
)
LONGEST = 300
# Labels as PEP 753 normalises them; who compares two versions wants to read what has changed.
_BEST = (
    ("changelog", "changes", "whatsnew", "history", "releasenotes", "releases"),
    ("source", "repository", "sourcecode", "github", "code"),
    ("homepage",),
)


def is_link(text: object) -> bool:
    """Whether `text` is an https address that may be shown."""
    return isinstance(text, str) and len(text) <= LONGEST and bool(_LINK.fullmatch(text))


def best(stated: Iterable[tuple[str, str]]) -> str | None:
    """The most useful link among those `stated`, as pairs of label and address; None without any."""
    usable = [(re.sub(r"[\W_]", "", label).lower(), url) for label, url in stated if is_link(url)]
    for labels in _BEST:
        for label, url in usable:
            if label in labels:
                return url
    return usable[0][1] if usable else None
