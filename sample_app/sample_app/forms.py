"""Parts that forms have in common: what texts may hold, and the next page after a form."""

from urllib.parse import urlsplit

from flask import request, url_for
from flask_wtf import FlaskForm
from werkzeug.datastructures import MultiDict
from wtforms import Field, Form, ValidationError

from sample_app import board


class PageForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """A form that only takes text: Flask-WTF reads JSON and uploaded files into its fields, too."""

    class Meta:
        """Options of WTForms."""

        def wrap_formdata(self, _form: Form, given: object) -> MultiDict[str, str] | None:
            """What was sent; nothing for a form that is only shown, or made with `formdata=None`."""
            return request.form if request.method == "POST" and given is not None else None


def tidy(text: str | None) -> str:
    """One line without spaces at its ends; a filter."""
    return " ".join((text or "").split())


def printable(_form: Form, field: Field) -> None:
    """Refuse control characters; a validator. NUL is one, and PostgreSQL refuses it."""
    if board.has_controls(field.data or ""):
        raise ValidationError("Leave out control characters.")


def safe_next(target: str | None = None) -> str:
    """The page of this site that `?next=` asks for, else the list.

    Browsers read "//host", "/\\\\host" and "/<tab>/host" as another host.
    """
    target = request.args.get("next", "") if target is None else target
    if not target.startswith("/") or target.startswith("//"):
        return url_for("main.links")
    if "\\" in target or any(letter.isspace() or not letter.isprintable() for letter in target):
        return url_for("main.links")
    try:
        parts = urlsplit(target)
    except ValueError:
        return url_for("main.links")
    return url_for("main.links") if parts.scheme or parts.netloc else target
