"""The board's operations, shared by pages and API: list, search, post, change and archive links."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeGuard, TypeVar
from urllib.parse import urlsplit

from sqlalchemy import Select, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.attributes import flag_modified
from sqlalchemy.orm.exc import StaleDataError

from sample_app import metrics
from sample_app.extensions import db
from sample_app.models import Link, Tag, User, link_tags, now

MAX_TITLE, MAX_URL, MAX_NOTE, MAX_TAGS = 200, 2000, 5000, 10
MOST_TAGS = 200
"""Tags on the page of all tags."""
MAX_WORDS = 8
"""Words of a search; what is beyond is left out, since each one scans the table."""

BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
"""Characters that turn the order of what follows, to show another name or host (Unicode TR 36, 2.1.1)."""


class BoardError(Exception):
    """A link can't be stored. `fields`: for each field at fault a sentence that says what to do."""

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {text}" for name, text in fields.items()))
        self.fields = fields


class Row(NamedTuple):
    """What the list shows of a link: objects with all that they bring would take most of its time."""

    id: int
    user_id: int
    url: str
    title: str
    note: str
    created_at: datetime
    author: str
    tags: list[str]

    @property
    def host(self) -> str:
        """Where the link leads, without "www."."""
        return (urlsplit(self.url).hostname or "").removeprefix("www.")

    @property
    def moment(self) -> str:
        """When it was posted, for programs."""
        return self.created_at.isoformat()

    @property
    def day(self) -> str:
        """When it was posted, for people."""
        return self.created_at.strftime("%-d %b %Y")


NAMES = select(func.aggregate_strings(Tag.name, ",")).join(link_tags).where(link_tags.c.link_id == Link.id)
FIELDS = (
    Link.id,
    Link.user_id,
    Link.url,
    Link.title,
    Link.note,
    Link.created_at,
    User.name,
    NAMES.correlate(Link).scalar_subquery(),
)
"""The columns of a Row; tags have no comma. One query for all of a page."""

T = TypeVar("T", Link, Row)


@dataclass(frozen=True)
class Page(Generic[T]):
    """Part of a list. `number`: counted from 1. `more`: whether another page follows."""

    links: Sequence[T]
    number: int
    more: bool


def query(*, search: str = "", tag: str = "", archived: bool = False) -> Select[Any]:
    """Select links, newest first. `search`: each of its words is in the title, the note or the URL."""
    found = select(Link).where(Link.archived_at.is_not(None) if archived else Link.archived_at.is_(None))
    for word in storable(search).split()[:MAX_WORDS]:
        fields = (Link.title, Link.note, Link.url)
        found = found.where(or_(*(field.icontains(word, autoescape=True) for field in fields)))
    if tag:
        found = found.where(Link.tags.any(Tag.name == storable(tag)))
    return found.order_by(Link.id.desc())


def page(found: Select[Any], number: int, size: int) -> Page[Link]:
    """Fetch one page of `found`; one row more says whether another follows, which is cheaper than COUNT."""
    links = db.session.scalars(found.limit(size + 1).offset((number - 1) * size)).all()
    return Page(links[:size], number, len(links) > size)


def rows(found: Select[Any], number: int, size: int) -> Page[Row]:
    """Fetch one page of `found`, only what a list shows."""
    chosen = found.with_only_columns(*FIELDS).join(Link.user).limit(size + 1).offset((number - 1) * size)
    links = [
        Row._make((*fields, sorted(names.split(",")) if names else []))
        for *fields, names in db.session.execute(chosen)
    ]
    return Page(links[:size], number, len(links) > size)


def tags() -> list[tuple[str, int]]:
    """The tags of all links that are not archived, with how many there are of each, most used first."""
    count = func.count()
    used = select(Tag.name, count).join(link_tags).join(Link).where(Link.archived_at.is_(None))
    rows = db.session.execute(used.group_by(Tag.name).order_by(count.desc(), Tag.name).limit(MOST_TAGS))
    return [(name, number) for name, number in rows]


def may_post(user: object) -> TypeGuard[User]:
    """Whether `user` is signed in and has confirmed the address. The visitor without a session isn't."""
    return isinstance(user, User) and user.confirmed_at is not None


def may_change(user: object, link: Link | Row) -> bool:
    """Whether `user` may change and archive `link`: who posted it, and administrators."""
    return may_post(user) and (user.id == link.user_id or user.is_admin)


def post(user: User, *, url: str, title: str, note: str = "", tags: Sequence[str] = ()) -> Link:
    """Store a new link. Raises BoardError."""
    link = _store(Link(user_id=user.id), url=url, title=title, note=note, tags=tags)
    metrics.count_posted()
    return link


def change(  # noqa: PLR0913  # a link has these fields
    link: Link,
    *,
    url: str,
    title: str,
    note: str = "",
    tags: Sequence[str] = (),
    archived: bool | None = None,
) -> Link:
    """Replace what `link` says; with `archived`, also in which list it is. Raises BoardError."""
    return _store(link, url=url, title=title, note=note, tags=tags, archived=archived)


def archive(link: Link) -> None:
    """Take `link` out of the list; it stays in the archive."""
    link.archived_at = link.archived_at or now()
    db.session.commit()


def unarchive(link: Link) -> None:
    """Show `link` in the list again."""
    link.archived_at = None
    db.session.commit()


def delete(link: Link) -> None:
    """Delete `link` for good."""
    db.session.delete(link)
    db.session.commit()


def storable(text: str) -> str:
    """Drop what databases refuse in text: NUL, and surrogates that a JSON document may hold."""
    return text.replace("\0", "").encode(errors="ignore").decode()


def has_controls(text: str) -> bool:
    """Whether `text` has control characters, surrogates, which no database stores, or those of BIDI."""
    return any(
        (unicodedata.category(letter) in {"Cc", "Cs"} and letter not in "\r\n\t")
        or unicodedata.bidirectional(letter) in BIDI
        for letter in text
    )


def _store(  # noqa: PLR0913  # as change()
    link: Link, *, url: str, title: str, note: str, tags: Sequence[str], archived: bool | None = None
) -> Link:
    url, title, note = url.strip(), " ".join(title.split()), note.strip()
    names = Tag.names(",".join(tags))
    if wrong := _faults(url, title, note, names):
        raise BoardError(wrong)
    values: dict[str, Any] = {"url": url, "title": title, "note": note}
    if archived is not None:
        values["archived_at"] = (link.archived_at or now()) if archived else None
    seen = link.version
    try:
        return _write(link, values, names)
    except IntegrityError:  # somebody else has added one of the tags at this moment: find it now
        db.session.rollback()
        if seen and seen != link.version:
            msg = "Somebody else has changed the link, too."
            raise StaleDataError(msg) from None
        return _write(link, values, names)


def _write(link: Link, values: dict[str, Any], names: Sequence[str]) -> Link:
    # One by one: the database decides which names are the same (MariaDB: "cafe" and "café").
    found = [db.session.scalar(select(Tag).where(Tag.name == name)) or _add(Tag(name=name)) for name in names]
    for field, value in values.items():
        setattr(link, field, value)
    link.tags = list(dict.fromkeys(found))
    link.updated_at = now()
    db.session.add(link)
    flag_modified(link, "updated_at")  # writes the row, and so counts `version`, if only tags have changed
    db.session.commit()
    return link


def _add(tag: Tag) -> Tag:
    db.session.add(tag)
    db.session.flush()
    return tag


def _faults(url: str, title: str, note: str, names: Sequence[str]) -> dict[str, str]:
    found = {
        "url": url_fault(url),
        "title": _text_fault(title, MAX_TITLE) or ("" if title else "Give the link a title."),
        "note": _text_fault(note, MAX_NOTE),
        "tags": f"Use {MAX_TAGS} tags at most." if len(names) > MAX_TAGS else "",
    }
    return {field: text for field, text in found.items() if text}


def _text_fault(text: str, most: int) -> str:
    if len(text) > most:
        return f"Use {most} characters at most."
    return "Leave out control characters." if has_controls(text) else ""


def url_fault(url: str) -> str:
    """What keeps `url` from being a safe target, or "": browsers run `javascript:` and read "\\" as "/"."""
    help_text = "Enter a whole address that starts with https:// or http://."
    if any(letter.isspace() or letter == "\\" for letter in url):
        return "Leave out spaces and backslashes."
    if any(unicodedata.category(letter) == "Cf" for letter in url):
        return "Leave out invisible characters."
    if fault := _text_fault(url, MAX_URL):
        return fault
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return help_text
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return help_text
    return "Leave out the user name and password." if "@" in parts.netloc else ""
