"""Models that all versions of the API have in common: queries, collections, users, tags, a link's fields."""

import re
from datetime import datetime
from typing import Annotated, Generic, TypeVar

from flask import request, url_for
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, EmailStr, Field
from pydantic_core import PydanticCustomError

from sample_app import board

Item = TypeVar("Item", bound=BaseModel)

# What a query holds is text; what isn't a number or a truth value stays text, and is refused as such.
_number = BeforeValidator(lambda text: int(text) if re.fullmatch("[0-9]{1,9}", text) else text)
_truth = BeforeValidator(lambda text: {"true": True, "false": False}.get(text, text))
PageNumber = Annotated[int, Field(ge=1, le=100_000), _number]
PageSize = Annotated[int, Field(ge=1, le=100), _number]
Truth = Annotated[bool, _truth]

BIDI = r"\u202a-\u202e\u2066-\u2069"  # board.BIDI
CONTROLS = rf"\x00-\x1f\x7f-\x9f{BIDI}"
# What every client can rely on; the board takes more, such as hosts and paths in other scripts.
_PLAIN_URL = r"^https?://[A-Za-z0-9]+([.-][A-Za-z0-9]+)*(:[0-9]{1,4})?([/?#][!-\[\]-~]*)?$"


def _web_url(url: str) -> str:
    if fault := board.url_fault(url):
        raise PydanticCustomError("web_url", "{fault}", {"fault": fault.removesuffix(".")})
    return url


WebUrl = Annotated[
    str,
    AfterValidator(_web_url),
    Field(
        max_length=board.MAX_URL,
        json_schema_extra={"pattern": _PLAIN_URL},
        description="Of a page on the web, as browsers open it; the pattern is that of plain ones.",
        examples=["https://example.com/page"],
    ),
]
Title = Annotated[
    str,
    Field(
        max_length=board.MAX_TITLE,
        pattern=rf"^[^\s{CONTROLS}][^{CONTROLS}]*$",
        examples=["A page to remember"],
    ),
]
Note = Annotated[
    str, Field(max_length=board.MAX_NOTE, pattern=rf"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f{BIDI}]*$")
]
TagText = Annotated[
    str, Field(min_length=1, max_length=40, pattern=rf"^[^,{CONTROLS}]+$", examples=["python"])
]


class Sent(BaseModel):
    """What a client sends: types as they are, and no field that nobody knows."""

    model_config = ConfigDict(strict=True, extra="forbid")


class Paged(Sent):
    """Which page of a list."""

    page: PageNumber = 1
    per_page: PageSize = 20


class Filter(Sent):
    """Which links. `search`: each of its words is in the title, the note or the URL."""

    search: Annotated[str, Field(max_length=200)] = ""
    tag: Annotated[str, Field(max_length=40)] = ""
    archived: Truth = False


class Links(BaseModel):
    """Where a resource is."""

    self: str = Field(examples=["/api/v1/links/1"])


class Resource(BaseModel):
    """What has a URL of its own."""

    links: Links


class PageLinks(Links):
    """Where the parts of a list are."""

    first: str
    prev: str | None = None
    next: str | None = None


class Collection(BaseModel, Generic[Item]):
    """Part of a list, with links to the others (also as Link headers, RFC 8288)."""

    items: list[Item]
    links: PageLinks


class User(Resource):
    """A user, as others see them."""

    id: int
    name: str


class Me(User):
    """The user whose token was sent. `confirmed`: may post."""

    email: EmailStr
    role: str
    confirmed: bool


class TagName(Resource):
    """A tag of a link."""

    name: str


class Tag(TagName):
    """A tag, and how many links that aren't archived have it."""

    count: int


class Tags(Collection[Tag]):
    """A page of tags."""


class IndexLinks(Links):
    """URLs of the collections, of the caller, and of the OpenAPI document."""

    links: str
    tags: str
    me: str
    openapi: str


class Index(Resource):
    """Where everything of this version is."""

    links: IndexLinks


class LinkChange(Sent):
    """Fields of a link to change, less its tags; what isn't sent stays as it is."""

    # Factories, since the document must not say that a missing field becomes empty.
    url: WebUrl = Field(default_factory=str)
    title: Title = Field(default_factory=str)
    note: Note = Field(default_factory=str)
    archived: bool = Field(default_factory=bool)


class LinkFields(Resource):
    """A link, less its tags."""

    id: int
    url: str
    title: str
    note: str
    archived: bool
    created_at: datetime
    updated_at: datetime
    user: User


def here(**changes: object) -> str:
    """The URL of this request, with another query."""
    arguments = request.args.to_dict() | changes
    return url_for(str(request.endpoint), **{**(request.view_args or {}), **arguments})


def page_links(number: int, *, more: bool) -> PageLinks:
    """Links of a list whose pages are counted."""
    return PageLinks(
        self=here(),
        first=here(page=1),
        prev=here(page=number - 1) if number > 1 else None,
        next=here(page=number + 1) if more else None,
    )
