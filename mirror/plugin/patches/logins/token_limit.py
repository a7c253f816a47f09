"""Bound the tokens of a user: devpi stores all of them again with each new one, and keeps every state."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from devpi_server.views import apireturn
from devpi_tokens import server

from mirror.plugin.patches import replace_members

MOST = 1000  # 200 kB; those of a user who makes as many one by one take 100 MB in the database
_STOCK: Callable[..., str] = server.TokenUtility.new_token


def apply() -> None:
    """Refuse a token too many by 409; those that have expired make room."""
    replace_members(server.TokenUtility, new_token=_new_token)


def _new_token(self: Any, user: Any, restrictions: Any = ()) -> str:
    known = self.get_tokens_info(user)
    if len(known) >= MOST:
        expired = [name for name, kept in known.items() if _is_expired(kept)]
        if not expired:
            apireturn(409, f"{user.name} has {len(known)} tokens: revoke those that are not used any more")
        with user.key.update() as record:
            for name in expired:
                del record["tokens"][name]
    return _STOCK(self, user, restrictions)


def _is_expired(kept: Mapping[str, Any]) -> bool:
    stated = [text.partition("=")[2] for text in kept.get("restrictions", ()) if text.startswith("expires=")]
    return any(text.isdecimal() and int(text) < time.time() for text in stated)
