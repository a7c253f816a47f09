"""Read an index's page in HTML: the files that it links to, and what it says about itself."""

import hashlib
import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from html.parser import HTMLParser
from urllib.parse import urljoin

from mirror.plugin.simple import filenames
from mirror.plugin.simple.file_rows import FileObject

# How indexes write the link to a file. Pages have up to ten thousand of them, and HTMLParser takes a
# hundred times as long: it gets what is left, which includes every link that is written otherwise.
# What no two files have in common is apart: the other attributes are read once for many files.
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z"  # PEP 700
_LINK = re.compile(
    r'<a href="([^"#]*+)(?:#sha256=([0-9a-f]++)(?="))?+(?:#([^"]*+))?+"'
    rf'((?: (?!data-upload-time)[a-z-]+="[^"]*+")*+)(?: data-upload-time="({_TIME})")?+ ?'
    r">[^<]*+</a>\s*+(?:<br ?/?>)?+"
)
_ATTRIBUTE = re.compile(r'([a-z-]+)="([^"]*)"')
# Where something that looks like a link is none.
_RAW_TEXT = re.compile(r"<(?:script|style)\b", re.IGNORECASE)
_COMMENT = re.compile(r"<!--(.*?)(?:-->|\Z)", re.DOTALL)


# Hashes that files may have; the shakes of hashlib have no length of their own.
HASH_KINDS = {kind for kind in hashlib.algorithms_guaranteed if not kind.startswith("shake")}


# What the attributes of a link say of its file: the members of FileObject after `upload_time`.
_Members = tuple[str | None, int | None, bool | str, bool | dict[str, str] | None, None, str | None]


@dataclass
class HtmlPage(HTMLParser):
    """Links, metas (PEP 629, 708, 792), headings, and whether the page is whole."""

    base: str
    links: list[FileObject] = field(default_factory=list)
    # The contents of those metas whose names begin with "pypi:", by what follows that.
    metas: dict[str, list[str]] = field(default_factory=dict)
    heading: str = ""  # title and h1
    open_elements: set[str] = field(default_factory=set)
    # Links as HTMLParser finds them: what _link takes.
    unusual: list[tuple[str, dict[str, str], str | None, _Members]] = field(default_factory=list)
    _in_heading: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    @property
    def is_cut_off(self) -> bool:
        """Whether an element that was begun does not end, which shows where no length does."""
        return "<" in self.rawdata or bool(self.open_elements)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag in {"html", "body", "a"}:
            self.open_elements.add(tag)
        self._in_heading = tag in {"title", "h1"}
        if tag == "a" and "href" in values:
            time = values.get("data-upload-time", "")
            shown_time = time if re.fullmatch(_TIME, time) else None
            url, _, fragment = values["href"].partition("#")
            self.unusual.append((url, hashes(fragment), shown_time, _members(values)))
        elif tag == "base" and values.get("href"):
            self.base = urljoin(self.base, values["href"])
        elif tag == "meta":
            _, of_index, name = values.get("name", "").rpartition("pypi:")
            if of_index and values.get("content"):
                self.metas.setdefault(name, []).append(values["content"])

    def handle_endtag(self, tag: str) -> None:
        self.open_elements -= {"html", "body", "a"} if tag == "html" else {tag}
        self._in_heading = False

    def handle_data(self, data: str) -> None:
        if self._in_heading:
            self.heading += f" {data}"

    @property
    def status(self) -> dict[str, str]:
        """The project's status (PEP 792)."""
        names = {"status": "project-status", "reason": "project-status-reason"}
        return {key: self.metas[name][-1] for key, name in names.items() if name in self.metas}


def read(text: str, url: str) -> HtmlPage:
    """Read what `text`, which came from `url`, says. All URLs of its links are absolute."""
    parts = _LINK.split(text)
    rest = "".join(parts[::6])
    if _hides(rest, text):
        parts, rest = [], text
    page = HtmlPage(url)
    page.feed(rest)
    groups = (parts[group::6] for group in range(1, 6))
    page.links = [
        _link(page.base, _unescaped(url), found, time, _members_in(attributes))
        for url, sha256, fragment, attributes, time in zip(*groups, strict=True)
        for found in [{"sha256": sha256} if sha256 else hashes(_unescaped(fragment))]
    ]
    page.links += [_link(page.base, *found) for found in page.unusual]
    return page


def _link(
    base: str, url: str, found: dict[str, str], upload_time: str | None, members: _Members
) -> FileObject:
    if not url.startswith(("https://", "http://")):
        url = urljoin(base, url)
    return FileObject(filenames.of_url(url), url, found, upload_time, *members)


def _unescaped(text: str | None) -> str:
    return html.unescape(text) if text and "&" in text else text or ""


def hashes(text: str) -> dict[str, str]:
    """The hashes of "sha256=…&md5=…"; other things stand in fragments too (egg=, subdirectory=)."""
    pairs = (part.partition("=") for part in text.split("&"))
    return {
        name: value for name, _, value in pairs if name in hashlib.algorithms_guaranteed and value.isalnum()
    }


def _hides(rest: str, text: str) -> bool:
    """Whether `text`, of which `rest` is left without its links, has links where HTML has none."""
    comments = _COMMENT.findall(text) if "<!--" in rest else ()
    return _RAW_TEXT.search(rest) is not None or any("<a" in comment.lower() for comment in comments)


@lru_cache(maxsize=1000)
def _members_in(attributes: str) -> _Members:
    return _members({name: html.unescape(value) for name, value in _ATTRIBUTE.findall(attributes)})


def _members(attributes: Mapping[str, str]) -> _Members:
    """Size as uv reads it; the other attributes are those of PEP 503, 592, 714 and 740."""
    metadata = attributes.get("data-core-metadata", attributes.get("data-dist-info-metadata", ""))
    yanked, size = attributes.get("data-yanked"), attributes.get("data-size", "")
    return (
        attributes.get("data-requires-python") or None,
        int(size) if re.fullmatch("[0-9]{1,18}", size) else None,
        False if yanked is None else yanked or True,
        hashes(metadata) or metadata.lower() == "true" or None,
        None,
        attributes.get("data-provenance") or None,
    )
