"""Operations that are the same in all versions, and what the versions' own operations on links share."""

from collections.abc import Callable
from typing import Any

from flask import url_for
from sqlalchemy import Select, func, select
from werkzeug.exceptions import Forbidden, NotFound

from sample_app import board, models
from sample_app.api import authentication, conditional, openapi, schemas
from sample_app.api.operations import Api
from sample_app.extensions import db


def register(api: Api) -> None:
    """Add the operations to one version."""
    api.operation("GET", "/")(index)
    api.operation("GET", "/tags")(list_tags)
    api.operation("GET", "/tags/{name}")(get_tag)
    api.operation("GET", "/users/{user_id}", token=True)(get_user)
    api.operation("GET", "/me", token=True)(get_me)
    api.add_url_rule("/openapi.json", "document", lambda: openapi.serve(api))


def index() -> schemas.Index:
    """Find everything else from here."""
    return schemas.Index(
        links=schemas.IndexLinks(
            self=url_for(".index"),
            links=url_for(".list_links"),
            tags=url_for(".list_tags"),
            me=url_for(".get_me"),
            openapi=url_for(".document"),
        )
    )


def list_tags(query: schemas.Paged) -> schemas.Tags:
    """List the tags by name."""
    rows = db.session.execute(
        _tags().order_by(models.Tag.name).limit(query.per_page + 1).offset((query.page - 1) * query.per_page)
    ).all()
    return schemas.Tags(
        items=[_tag(name, count) for name, count in rows[: query.per_page]],
        links=schemas.page_links(query.page, more=len(rows) > query.per_page),
    )


def get_tag(name: str) -> schemas.Tag:
    """Get one tag."""
    row = db.session.execute(_tags().where(models.Tag.name == board.storable(name))).one_or_none()
    if row is None:
        raise NotFound(_gone("tag"))
    return _tag(*row)


def get_user(user_id: int) -> schemas.User:
    """Get the name of somebody."""
    user = db.session.get(models.User, user_id)
    if user is None:
        raise NotFound(_gone("user"))
    return show_user(user)


def get_me() -> schemas.Me:
    """Get the user whose token this is."""
    user = authentication.needed()
    return schemas.Me(
        **dict(show_user(user)),
        email=user.email,
        role=user.role.name,
        confirmed=user.confirmed_at is not None,
    )


def show_user(user: models.User) -> schemas.User:
    """What everybody with a token may see of `user`."""
    links = schemas.Links(self=url_for(".get_user", user_id=user.id))
    return schemas.User(id=user.id, name=user.name, links=links)


def show_tag(tag: models.Tag) -> schemas.TagName:
    """A tag of a link, with its URL."""
    return schemas.TagName(name=tag.name, links=schemas.Links(self=url_for(".get_tag", name=tag.name)))


def link_fields(link: models.Link) -> dict[str, Any]:
    """What all versions show of `link`."""
    return {
        "id": link.id,
        "url": link.url,
        "title": link.title,
        "note": link.note,
        "archived": link.archived_at is not None,
        "created_at": link.created_at,
        "updated_at": link.updated_at,
        "user": show_user(link.user),
        "links": schemas.Links(self=url_for(".get_link", link_id=link.id)),
    }


def find_link(link_id: int) -> models.Link:
    """The link, or 404."""
    link = db.session.get(models.Link, link_id)
    if link is None:
        raise NotFound(_gone("link"))
    return link


def changeable_link(link_id: int, show: Callable[[models.Link], schemas.LinkFields]) -> models.Link:
    """The link if the caller may change it and has seen it as it is; else 404, 403 or 412."""
    link = find_link(link_id)
    if not board.may_change(authentication.needed(), link):
        raise Forbidden("Who posted a link changes it, and administrators.")
    conditional.check(show(link))
    return link


def change_link(link: models.Link, changes: dict[str, Any]) -> None:
    """Change only what is in `changes`, all of it or nothing."""
    if changes.keys() - {"archived"}:
        names = [tag.name for tag in link.tags]
        board.change(
            link, **{"url": link.url, "title": link.title, "note": link.note, "tags": names, **changes}
        )
    elif changes:
        (board.archive if changes["archived"] else board.unarchive)(link)


def _tags() -> Select[str, int]:
    """Names of tags, with how many links that aren't archived have each."""
    shown = models.link_tags.join(
        models.Link, (models.Link.id == models.link_tags.c.link_id) & models.Link.archived_at.is_(None)
    )
    return (
        select(models.Tag.name, func.count(models.Link.id))
        .outerjoin(shown, models.link_tags.c.tag_id == models.Tag.id)
        .group_by(models.Tag.name)
    )


def _tag(name: str, count: int) -> schemas.Tag:
    return schemas.Tag(name=name, count=count, links=schemas.Links(self=url_for(".get_tag", name=name)))


def _gone(what: str) -> str:
    return f"There is no such {what}."
