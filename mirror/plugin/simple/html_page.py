"""The HTML of an index's page in, its links and what it says about itself out."""

import hashlib
import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from html.parser import HTMLParser
from typing import NamedTuple
from urllib.parse import urljoin

# How indexes write the link to a file. Pages have up to ten thousand of them, and HTMLParser takes a
# hundred times as long: it gets what is left, which includes every link that is written otherwise.
# What no two files have in common is apart: the other attributes are read once for many files.
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z"  # PEP 700
ATTRIBUTES = rf'((?: (?!data-upload-time)[a-z-]+="[^"]*+")*+)(?: data-upload-time="({_TIME})")?+ ?'
_LINK = re.compile(rf'<a href="([^"]*+)"{ATTRIBUTES}>[^<]*+</a>\s*+(?:<br ?/?>)?+')
_ATTRIBUTE = re.compile(r'([a-z-]+)="([^"]*)"')
# Where something that looks like a link is none.
_RAW_TEXT = re.compile(r"<(?:script|style)\b", re.IGNORECASE)
_COMMENT = re.compile(r"<!--(.*?)(?:-->|\Z)", re.DOTALL)


class Said(NamedTuple):
    """What the attributes of a link say of its file, as ProjectFile has it."""

    requires_python: str | None
    yanked: bool | str
    size: int | None
    upload_time: str | None
    core_metadata: bool | Mapping[str, str]
    provenance: str | None


class Link(NamedTuple):
    """A link to a file."""

    href: str  # absolute
    said: Said
    upload_time: str | None


@dataclass
class HtmlPage(HTMLParser):
    """Links, metas (PEP 629, 708, 792), headings, and whether the page is whole."""

    base: str
    links: list[Link] = field(default_factory=list)
    metas: dict[str, list[str]] = field(
        default_factory=dict
    )  # of those that begin with "pypi:", without that
    heading: str = ""  # title and h1
    open_elements: set[str] = field(default_factory=set)
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
            said = _said(values)
            self.links.append(Link(values["href"], said, said.upload_time))
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
        """What PEP 792 says of the project."""
        names = {"status": "project-status", "reason": "project-status-reason"}
        return {key: self.metas[name][-1] for key, name in names.items() if name in self.metas}


def read(text: str, url: str) -> HtmlPage:
    """What `text`, which came from `url`, says."""
    parts = _LINK.split(text)
    rest = "".join(parts[::4])
    if _hides(rest, text):
        parts, rest = [], text
    page = HtmlPage(url)
    page.feed(rest)
    usual = zip(parts[1::4], parts[2::4], parts[3::4], strict=True)
    found = [Link(_unescaped(href), said_in(attributes), time) for href, attributes, time in usual]
    page.links = [_resolved(page.base, link) for link in (*found, *page.links)]
    return page


def hashes(text: str) -> dict[str, str]:
    """The hashes of "sha256=…&md5=…"; other things stand in fragments too (egg=, subdirectory=)."""
    kind, _, digest = text.partition("=")
    if kind == "sha256" and digest.isalnum():
        return {kind: digest}  # as nearly all are
    pairs = (part.partition("=") for part in text.split("&"))
    return {
        name: value for name, _, value in pairs if name in hashlib.algorithms_guaranteed and value.isalnum()
    }


def _hides(rest: str, text: str) -> bool:
    """Whether `text`, of which `rest` is left without its links, has links where HTML has none."""
    comments = _COMMENT.findall(text) if "<!--" in rest else ()
    return _RAW_TEXT.search(rest) is not None or any("<a" in comment.lower() for comment in comments)


@lru_cache(maxsize=1000)
def said_in(attributes: str) -> Said:
    return _said({name: html.unescape(value) for name, value in _ATTRIBUTE.findall(attributes)})


def _said(attributes: Mapping[str, str]) -> Said:
    """Size and time as uv reads them; the other attributes are those of PEP 503, 592, 714 and 740."""
    metadata = attributes.get("data-core-metadata", attributes.get("data-dist-info-metadata", ""))
    yanked = attributes.get("data-yanked")
    size, time = attributes.get("data-size", ""), attributes.get("data-upload-time", "")
    return Said(
        requires_python=attributes.get("data-requires-python") or None,
        yanked=False if yanked is None else yanked or True,
        size=int(size) if re.fullmatch("[0-9]{1,18}", size) else None,
        upload_time=time if re.fullmatch(_TIME, time) else None,
        core_metadata=hashes(metadata) or metadata.lower() == "true",
        provenance=attributes.get("data-provenance") or None,
    )


def _unescaped(href: str) -> str:
    return html.unescape(href) if "&" in href else href


def _resolved(base: str, link: Link) -> Link:
    absolute = link.href.startswith(("https://", "http://"))
    return link if absolute else link._replace(href=urljoin(base, link.href))
