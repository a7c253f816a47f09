"""The HTML of an index's page in, its anchors and what it says about itself out."""

import html
import re
from dataclasses import dataclass, field
from functools import lru_cache
from html.parser import HTMLParser
from urllib.parse import urljoin

# How indexes write the link to a file. Pages have up to ten thousand of them, and HTMLParser takes a
# hundred times as long: it gets what is left, which includes every link that is written otherwise.
_LINK = re.compile(r'<a((?:\s+[\w:-]+="[^"<>]*")+)\s*>[^<]*</a>\s*(?:<br\s*/?>)?', re.IGNORECASE)
_ATTRIBUTE = re.compile(r'([\w:-]+)="([^"]*)"')
# Where something that looks like a link is none.
_RAW_TEXT = re.compile(r"<(?:script|style)\b", re.IGNORECASE)
_COMMENT = re.compile(r"<!--(.*?)(?:-->|\Z)", re.DOTALL)


@dataclass
class HtmlPage(HTMLParser):
    """Anchors (attributes by name, `href` absolute), PEP 792 metas and what shows a whole page."""

    base: str
    anchors: list[dict[str, str]] = field(default_factory=list)
    status: dict[str, str] = field(default_factory=dict)
    heading: str = ""
    has_version: bool = False
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
            self.anchors.append(values)
        elif tag == "base" and values.get("href"):
            self.base = urljoin(self.base, values["href"])
        elif tag == "meta":
            self._meta(values.get("name", ""), values.get("content", ""))

    def handle_endtag(self, tag: str) -> None:
        self.open_elements -= {"html", "body", "a"} if tag == "html" else {tag}
        self._in_heading = False

    def handle_data(self, data: str) -> None:
        if self._in_heading:
            self.heading += f" {data}"

    def _meta(self, name: str, content: str) -> None:
        self.has_version |= name == "pypi:repository-version"
        if name in {"pypi:project-status", "pypi:project-status-reason"} and content:
            self.status["reason" if name.endswith("reason") else "status"] = content


def read(text: str, url: str) -> HtmlPage:
    """What `text`, which came from `url`, says."""
    hides = _RAW_TEXT.search(text) or any("<a" in comment.lower() for comment in _COMMENT.findall(text))
    rest, *links = [text] if hides else _LINK.split(text)
    page = HtmlPage(url)
    page.feed("".join((rest, *links[1::2])))
    found = [_attributes(link) for link in links[::2]]
    page.anchors = [_resolved(page.base, anchor) for anchor in (*found, *page.anchors) if "href" in anchor]
    return page


_unescape = lru_cache(maxsize=1000)(html.unescape)  # thousands of files want one of a few Pythons


def _attributes(text: str) -> dict[str, str]:
    return {
        name.lower(): _unescape(value) if "&" in value else value for name, value in _ATTRIBUTE.findall(text)
    }


def _resolved(base: str, anchor: dict[str, str]) -> dict[str, str]:
    href = anchor["href"]
    return anchor if href.startswith(("https://", "http://")) else {**anchor, "href": urljoin(base, href)}
