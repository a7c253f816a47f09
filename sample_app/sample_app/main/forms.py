"""The form of a link."""

from typing import Any

from wtforms import HiddenField, StringField, TextAreaField, URLField

from sample_app import board
from sample_app.forms import PageForm


class LinkForm(PageForm):
    """What the board asks for; board.py checks it, for pages and API alike."""

    url = URLField("Address", description="The whole address: https://…")
    title = StringField("Title", description="What one finds there, in a few words.")
    tags = StringField(
        "Tags (optional)", description=f"Up to {board.MAX_TAGS}, separated by commas: python, databases"
    )
    note = TextAreaField("Note (optional)", description="Why it is worth a look.")
    version = HiddenField()  # of the link that the form was filled with

    def values(self) -> dict[str, Any]:
        """What board.post() and board.change() take."""
        return {
            "url": self.url.data or "",
            "title": self.title.data or "",
            "note": self.note.data or "",
            "tags": [self.tags.data or ""],
        }

    def is_of(self, version: int) -> bool:
        """Whether the form was filled with this version of the link; if not, say so, once."""
        if self.version.data == str(version):
            return True
        self.version.data = str(version)
        self.form_errors.append(
            "Somebody else has changed this link meanwhile. Look at it in another tab, then save again: "
            "what is below replaces their change."
        )
        return False

    def show(self, error: board.BoardError) -> None:
        """Put what the board refuses beside the fields."""
        for name, text in error.fields.items():
            self[name].errors = [text]
