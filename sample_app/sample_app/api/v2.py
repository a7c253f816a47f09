"""Version 2: tags of links are objects, and a cursor leads through a list that grows meanwhile."""

from typing import Annotated, Any

from pydantic import Field

from sample_app import board, models
from sample_app.api import authentication, schemas, shared
from sample_app.api.operations import MAX_ID, Api
from sample_app.extensions import db

api = Api("v2", "A team's links. Tags are objects, and a cursor leads through the list.")
shared.register(api)

START = f"{MAX_ID:08x}"
"""The cursor before the newest link. Cursors are ids, written so that nobody takes them for counts.

None is larger than an id can be: PostgreSQL refuses to compare a larger number."""


class NewTag(schemas.Sent):
    """A tag to give to a link."""

    name: schemas.TagText


TagNames = Annotated[
    list[NewTag], Field(max_length=board.MAX_TAGS, description="Stored in lower case, with dashes.")
]


class Link(schemas.LinkFields):
    """A link."""

    tags: list[schemas.TagName]


class LinkPage(schemas.Collection[Link]):
    """Part of the links."""


class NewLink(schemas.Sent):
    """A link to post."""

    url: schemas.WebUrl
    title: schemas.Title
    note: schemas.Note = ""
    tags: TagNames = Field(default=[])


class LinkChange(schemas.LinkChange):
    """Fields of a link to change."""

    tags: TagNames = Field(default_factory=list)


class LinkQuery(schemas.Filter):
    """Which links. `cursor`: take it from the link to the next part."""

    cursor: Annotated[str, Field(pattern="^[0-7][0-9a-f]{7}$")] = START
    per_page: schemas.PageSize = 20


def show(link: models.Link) -> Link:
    """`link` in the form of this version."""
    return Link(**shared.link_fields(link), tags=[shared.show_tag(tag) for tag in link.tags])


@api.operation("GET", "/links")
def list_links(query: LinkQuery) -> LinkPage:
    """List links, newest first."""
    found = board.query(search=query.search, tag=query.tag, archived=query.archived)
    older = found.where(models.Link.id < int(query.cursor, 16)).limit(query.per_page + 1)
    rows = db.session.scalars(older).all()
    page, more = rows[: query.per_page], len(rows) > query.per_page
    return LinkPage(
        items=[show(link) for link in page],
        links=schemas.PageLinks(
            self=schemas.here(),
            first=schemas.here(cursor=START),
            next=schemas.here(cursor=f"{page[-1].id:08x}") if more else None,
        ),
    )


@api.operation("POST", "/links", status=201, writes=True, then=("get_link", "change_link", "delete_link"))
def post_link(body: NewLink) -> Link:
    """Post a link."""
    return show(board.post(authentication.needed(), **_with_names(body.model_dump())))


@api.operation("GET", "/links/{link_id}")
def get_link(link_id: int) -> Link:
    """Get one link."""
    return show(shared.find_link(link_id))


@api.operation("PATCH", "/links/{link_id}", writes=True, match=True)
def change_link(link_id: int, body: LinkChange) -> Link:
    """Change the fields that are sent, or archive the link."""
    link = shared.changeable_link(link_id, show)
    shared.change_link(link, _with_names(body.model_dump(exclude_unset=True)))
    return show(link)


@api.operation("DELETE", "/links/{link_id}", status=204, writes=True, match=True)
def delete_link(link_id: int) -> None:
    """Delete a link for good; to archive one, change it."""
    board.delete(shared.changeable_link(link_id, show))


def _with_names(fields: dict[str, Any]) -> dict[str, Any]:
    """`fields` with tags as the board takes them: words."""
    return fields | ({"tags": [tag["name"] for tag in fields["tags"]]} if "tags" in fields else {})
