"""Give a list of projects the content type that was asked for: devpi sends "text_html" for want of one."""

from typing import Any

from devpi_server import views

from mirror.plugin.pages import negotiate
from mirror.plugin.simple.content_types import TEXT


def apply() -> None:
    """Let devpi choose between JSON and HTML as our project pages do."""
    views._select_simple_content_type = _content_type  # noqa: SLF001 (listed in compat.py)


def _content_type(request: Any) -> str:
    return negotiate.content_type(request.headers.get("Accept")) or TEXT
