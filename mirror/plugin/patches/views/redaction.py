"""Leave logins of upstreams out of devpi's log and answers, and rights out of what it shows to anybody."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from devpi_server import views
from pyramid.threadlocal import get_current_request

from mirror.plugin.access import tokens
from packhorse import urls

_STOCK: Callable[..., Any] = views.apiresult


def apply() -> None:
    """Show logins to nobody but root."""
    views.apiresult = _apiresult
    for handler in logging.getLogger().handlers:
        handler.addFilter(_without_login_in_record)


def _apiresult(code: int, message: str | None = None, *, result: Any = None, **more: Any) -> Any:
    """devpi tells anybody the settings of an index. Root, who can change them, needs them whole."""
    request = get_current_request()
    user = request and request.authenticated_userid
    is_person = user is not None and not tokens.is_token(request)
    if user != "root" or not is_person:
        is_read = request and request.method in {"GET", "HEAD"}
        result = shown(result, with_rights=is_person or not is_read)
    return _STOCK(code, message=message, result=result, **more)


def shown(result: Any, *, with_rights: bool = True) -> Any:
    """The settings of an index, or of those of one user or of all, without logins, or without rights too."""
    if not isinstance(result, Mapping):
        return result
    return {
        key: (
            urls.without_logins(value)
            if key == "mirror_url" and isinstance(value, str)
            else shown(value, with_rights=with_rights)
        )
        for key, value in result.items()
        if with_rights or not (key == "email" or key.startswith("acl_"))
    }


def _without_login_in_record(record: logging.LogRecord) -> bool:
    if record.exc_info:  # errors of clients name the URL; a formatter takes the text that is there
        record.exc_text = urls.without_logins(logging.Formatter().formatException(record.exc_info))
    try:
        message = record.getMessage()
    except (TypeError, ValueError, KeyError):  # whose parts do not fit together: logging reports that
        return True
    if "@" in message or not message.isprintable():  # names that clients send could begin a line
        record.msg, record.args = "".join(map(_printable, urls.without_logins(message))), ()
    return True


def _printable(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()
