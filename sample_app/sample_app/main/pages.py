"""Pages of the board: list, search, tags, post, edit, archive."""

import re

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask_login import current_user, login_required
from werkzeug import Response

from sample_app import board
from sample_app.extensions import db
from sample_app.forms import safe_next
from sample_app.main.forms import LinkForm
from sample_app.models import Link

blueprint = Blueprint("main", __name__)
SIZE = 20
LAST = 10_000
"""The largest number of a page that is asked of the database."""


@blueprint.get("/")
def links() -> str:
    """The list, newest first."""
    return show_list(archived=False)


@blueprint.get("/archive")
def archive() -> str:
    """What is no longer in the list."""
    return show_list(archived=True)


def show_list(*, archived: bool) -> str:
    """One page of links, of those that `q` and `tag` ask for."""
    search, tag = request.args.get("q", "").strip()[:200], request.args.get("tag", "")[:40]
    number = request.args.get("page", "1")
    if not re.fullmatch("[0-9]{1,9}", number) or not 1 <= int(number) <= LAST:
        abort(404)
    page = board.rows(board.query(search=search, tag=tag, archived=archived), int(number), SIZE)
    if page.number > 1 and not page.links:
        abort(404)
    return render_template("main/list.html", page=page, search=search, tag=tag, archived=archived)


@blueprint.get("/tags")
def tags() -> str:
    """All tags of the links in the list."""
    return render_template("main/tags.html", tags=board.tags())


@blueprint.route("/links/new", methods=["GET", "POST"])
@login_required  # type: ignore[untyped-decorator]
def new() -> str | Response | tuple[str, int]:
    """Post a link."""
    if not board.may_post(current_user):
        abort(403)
    form = LinkForm()
    if form.validate_on_submit():
        try:
            board.post(current_user, **form.values())
        except board.BoardError as error:
            form.show(error)
            return render_template("main/form.html", form=form, link=None), 422
        flash("Your link is on the board.", "success")
        return redirect(url_for("main.links"))
    return render_template("main/form.html", form=form, link=None)


@blueprint.route("/links/<int:number>/edit", methods=["GET", "POST"])
@login_required  # type: ignore[untyped-decorator]
def edit(number: int) -> str | Response | tuple[str, int]:
    """Change a link."""
    link = changeable(number)
    tags = ", ".join(tag.name for tag in link.tags)
    shown = {"url": link.url, "title": link.title, "note": link.note, "version": link.version}
    form = LinkForm(data=shown | {"tags": tags})
    if form.validate_on_submit():
        if not form.is_of(link.version):
            return render_template("main/form.html", form=form, link=link), 409
        try:
            board.change(link, **form.values())
        except board.BoardError as error:
            form.show(error)
            return render_template("main/form.html", form=form, link=link), 422
        flash("The link is changed.", "success")
        return redirect(safe_next())
    return render_template("main/form.html", form=form, link=link)


@blueprint.post("/links/<int:number>/archive")
@login_required  # type: ignore[untyped-decorator]
def archive_link(number: int) -> Response:
    """Take a link out of the list."""
    board.archive(changeable(number))
    flash("The link is in the archive now.", "success")
    return redirect(safe_next())


@blueprint.post("/links/<int:number>/unarchive")
@login_required  # type: ignore[untyped-decorator]
def unarchive_link(number: int) -> Response:
    """Put a link back into the list."""
    board.unarchive(changeable(number))
    flash("The link is on the board again.", "success")
    return redirect(safe_next())


def changeable(number: int) -> Link:
    """The link, if whoever is signed in may change it."""
    link = db.session.get(Link, number) if number < 2**31 else None
    if link is None:
        abort(404)
    if not board.may_change(current_user, link):
        abort(403)
    return link
