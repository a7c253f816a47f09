"""Pages of the board: list, search, post, archive."""

from sample_app.main.pages import blueprint

__all__ = ["blueprint"]
