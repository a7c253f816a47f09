"""End logins of the devpi client with the password that they are of: devpi lets them live for ten hours."""

import hashlib
from collections.abc import Callable
from typing import Any

import itsdangerous
from devpi_server.auth import Auth

from mirror.plugin.patches import replace_members

_STOCK: Callable[..., Any] = Auth.new_proxy_auth
_STOCK_STATUS: Callable[..., dict[str, Any]] = Auth._get_auth_status  # noqa: SLF001 (listed in compat.py)


def apply() -> None:
    """Put a digest of the stored hash where devpi has "from_user_object", which it reads as true."""
    replace_members(Auth, new_proxy_auth=_new_proxy_auth, _get_auth_status=_get_auth_status)


def _new_proxy_auth(auth: Any, username: str, password: str, request: Any = None) -> Any:
    made = _STOCK(auth, username, password, request=request)
    if not made:
        return made
    name, groups, is_own = auth.serializer.loads(made["password"])
    session = auth.serializer.dumps([name, groups, is_own and _digest(auth, name)])
    return {**made, "password": session}


def _get_auth_status(auth: Any, authuser: Any, authpassword: Any, request: Any = None) -> dict[str, Any]:
    status = _STOCK_STATUS(auth, authuser, authpassword, request=request)
    if status["status"] != "ok":
        return status
    try:
        _, _, digest = auth.serializer.loads(authpassword)
    except itsdangerous.BadData:  # a password
        return status
    # Of a user whom a plugin knows (LDAP), there is no hash.
    return status if not digest or digest == _digest(auth, authuser) else {"status": "expired"}


def _digest(auth: Any, name: str) -> str:
    stored = auth.model.get_user(name).get(credentials=True).get("pwhash") or ""
    return hashlib.sha256(stored.encode()).hexdigest()
