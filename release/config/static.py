"""Settings of [static]: files of the application that nginx serves itself, and how long they are cached."""

import re
from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator

from packhorse import settings
from packhorse.settings import matching
from release.config.value_types import UrlPath, unique

# A hash in hexadecimal digits before the suffix, as Django, webpack and Flask-Static-Digest write it. One of
# them is a letter: 20260101 is a date, and its file may change. What is possessive, or atomic in `_pattern`,
# is tried once: clients choose the names that nginx matches, of some thousand characters.
_BY_CONTENT = r"(?:.*/)?+(?:[^/]*[._-])?(?=[0-9]*[a-f])[0-9a-f]{8,64}\.[^/]+"

Folder = Annotated[
    str,
    matching(
        r"(?!\.\.?(/|$))[A-Za-z0-9_.+-]+(/(?!\.\.?(/|$))[A-Za-z0-9_.+-]+)*",
        'a folder inside the wheel, such as "shop/static"',
    ),
]
Glob = Annotated[
    str, matching(r"[A-Za-z0-9_.@+~?*/-]+", 'a pattern of names, such as "assets/*" or "*-????????.js"', 200)
]


class Static(settings.Settings):
    """Files in `folder` of the wheel, which nginx serves below `url`, the application's own path for them.

    Names that a pattern of `hashed` matches change with what is in the file, and are cached for ever. `*`
    stands for any characters, also "/", `?` for one. None: names with a hash in hexadecimal digits; []: none.
    """

    folder: Folder
    url: UrlPath = "/static/"
    hashed: Annotated[list[Glob], AfterValidator(unique)] | None = None

    @property
    def hashed_pattern(self) -> str:
        """Regular expression, also of PCRE, for the whole of a name below the folder that has a hash."""
        if self.hashed is None:
            return _BY_CONTENT
        return "|".join(map(_pattern, self.hashed)) or r"(?!)"

    def is_hashed(self, name: str) -> bool:
        """Whether the file `name` below the folder is never another one."""
        return bool(re.fullmatch(f"(?s:{self.hashed_pattern})", name))


def _pattern(glob: str) -> str:
    """Pattern of linear time: a part after a `*` is taken where it first occurs, the last at the end."""
    first, *parts = [literal(part).replace(r"\x3f", ".") for part in re.split(r"\*+", glob)]
    between = "".join(f"(?>.*?{part})" for part in parts[:-1])
    return first + between + "".join(f".*{part}" for part in parts[-1:])


def literal(text: str) -> str:
    """Pattern of PCRE for `text` itself, of ASCII, which nginx and its templates leave as it is."""
    return re.sub("[^a-zA-Z0-9/_-]", lambda found: rf"\x{ord(found[0]):02x}", text)


def check(static: Static | None, served: Iterable[tuple[str, Iterable[str]]]) -> None:
    """Raise ValueError when nginx serves the path already; `served`: target, and paths of its folders."""
    for target, paths in served if static else ():
        if static and static.url in paths:
            raise ValueError(
                f"targets.{target}.provision.static: {static.url} is the url of [static]: keep one of the two"
            )
