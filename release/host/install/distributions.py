"""The distributions that are installed in a release's virtualenv: names, versions, links."""

import email
import re
from collections.abc import Iterator
from email.message import Message

from packhorse import files, metadata_headers
from release.host.disk.layout import Layout
from release.host.formats import project_link

LARGEST_HEAD = 2**18
"""Bytes of METADATA that are read: its fields come before the description."""


def installed(layout: Layout, number: int) -> list[dict[str, str | None]]:
    """`name` (normalised), `version` and `url` of each distribution in release `number`, by name.

    A release that is being removed has fewer.
    """
    found = {}
    for folder in layout.release(number).glob("venv/lib/python*/site-packages/*.dist-info"):
        text = files.read_beginning(folder / "METADATA", LARGEST_HEAD)
        head = email.message_from_bytes(metadata_headers.split(text).headers)
        name, version = _text(head["Name"]), _text(head["Version"])
        if name and version:
            normal = re.sub(r"[-_.]+", "-", name).lower()
            found[normal] = {"name": normal, "version": version, "url": project_link.best(_stated(head))}
    return [each for _, each in sorted(found.items())]


def _stated(head: Message) -> Iterator[tuple[str, str]]:
    for line in head.get_all("Project-URL", []):
        label, _, url = str(line).partition(",")
        yield label, url.strip()
    yield "homepage", _text(head["Home-page"])


def _text(value: object) -> str:
    return str(value or "").strip()[:200]
