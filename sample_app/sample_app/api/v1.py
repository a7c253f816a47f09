"""Version 1: tags of links are words, and pages are counted."""

from datetime import UTC, datetime
from typing import Annotated

from flask import Response, current_app
from pydantic import Field
from werkzeug.http import http_date

from sample_app import board, models
from sample_app.api import authentication, schemas, shared
from sample_app.api.operations import Api

SUCCEEDED = datetime(2026, 11, 26, tzinfo=UTC)
"""Since when version 2 is there."""

api = Api("v1", "A team's links. Tags are words, and pages are counted.")
shared.register(api)

TagNames = Annotated[
    list[schemas.TagText], Field(max_length=board.MAX_TAGS, description="Stored in lower case, with dashes.")
]


class Link(schemas.LinkFields):
    """A link."""

    tags: list[str]


class LinkPage(schemas.Collection[Link]):
    """A page of links."""


class NewLink(schemas.Sent):
    """A link to post."""

    url: schemas.WebUrl
    title: schemas.Title
    note: schemas.Note = ""
    tags: TagNames = Field(default=[])


class LinkChange(schemas.LinkChange):
    """Fields of a link to change."""

    tags: TagNames = Field(default_factory=list)


class LinkQuery(schemas.Filter, schemas.Paged):
    """Which page of which links."""


def show(link: models.Link) -> Link:
    """`link` in the form of this version."""
    return Link(**shared.link_fields(link), tags=[tag.name for tag in link.tags])


@api.operation("GET", "/links")
def list_links(query: LinkQuery) -> LinkPage:
    """List links, newest first."""
    found = board.query(search=query.search, tag=query.tag, archived=query.archived)
    page = board.page(found, query.page, query.per_page)
    return LinkPage(
        items=[show(link) for link in page.links], links=schemas.page_links(query.page, more=page.more)
    )


@api.operation("POST", "/links", status=201, writes=True, then=("get_link", "change_link", "delete_link"))
def post_link(body: NewLink) -> Link:
    """Post a link."""
    return show(board.post(authentication.needed(), **dict(body)))


@api.operation("GET", "/links/{link_id}")
def get_link(link_id: int) -> Link:
    """Get one link."""
    return show(shared.find_link(link_id))


@api.operation("PATCH", "/links/{link_id}", writes=True, match=True)
def change_link(link_id: int, body: LinkChange) -> Link:
    """Change the fields that are sent, or archive the link."""
    link = shared.changeable_link(link_id, show)
    shared.change_link(link, body.model_dump(exclude_unset=True))
    return show(link)


@api.operation("DELETE", "/links/{link_id}", status=204, writes=True, match=True)
def delete_link(link_id: int) -> None:
    """Delete a link for good; to archive one, change it."""
    board.delete(shared.changeable_link(link_id, show))


@api.after_request
def announce(response: Response) -> Response:
    """Say when this version goes, once that is settled (RFC 9745, RFC 8594)."""
    if sunset := current_app.config["SETTINGS"].api_v1_sunset:
        response.headers["Deprecation"] = f"@{SUCCEEDED.timestamp():.0f}"
        response.headers["Sunset"] = http_date(sunset)
    return response
