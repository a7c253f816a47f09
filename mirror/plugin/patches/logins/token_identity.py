"""Patch how devpi finds out who a request is from: tokens have limits that devpi-tokens alone does not keep.

No hook can do it: devpi calls those that say who it is by itself, without wrappers (traced_pluggy_call).
"""

import functools
import threading
from collections.abc import Callable
from typing import Any

from devpi_server.view_auth import DevpiSecurityPolicy
from devpi_tokens.server import InvalidMacaroon, TokenUtility, V1Caveat

from mirror.plugin.access import tokens
from mirror.plugin.patches import replace_members

_STOCK: Callable[[Any, Any], Any] = DevpiSecurityPolicy.load_identity
_STOCK_VERIFY: Callable[..., bool] = TokenUtility.verify
_STOCK_INDEXES: Callable[[Any, str], bool] = V1Caveat.verify_indexes
_STOCK_CREDENTIALS: Callable[[Any, Any], Any] = DevpiSecurityPolicy._get_credentials  # noqa: SLF001 (in compat.py)

MOST_LIMITS = 100  # of a token; whoever has one can add some, and a thousand take half a second to check

# It takes 100 MB and both processors for a tenth of a second: one at a time, and once for each token.
_derived = functools.lru_cache(maxsize=128)(TokenUtility._derive_key)  # noqa: SLF001 (devpi-tokens has no other way)
_deriving = threading.Lock()


def apply() -> None:
    """Let mirror/plugin/access/tokens.py have a word in both."""
    replace_members(TokenUtility, _derive_key=_derive_key, verify=_verify)
    replace_members(V1Caveat, verify_indexes=_verify_indexes)
    replace_members(DevpiSecurityPolicy, identity=_identity, _get_credentials=_get_credentials)


def _derive_key(utility: Any, key: str) -> Any:
    with _deriving:
        return _derived(utility, key)


def _verify(utility: Any, request: Any, macaroon: Any, token_info: Any) -> bool:
    """They are checked before the signature is, so for everybody who knows the id of a token."""
    if len(macaroon.caveats) > MOST_LIMITS:
        raise InvalidMacaroon(f"Token with more than {MOST_LIMITS} limits")
    return _STOCK_VERIFY(utility, request, macaroon, token_info)


def _identity(policy: Any, request: Any) -> Any:
    load = functools.partial(tokens.identity, load=functools.partial(_STOCK, policy))
    return policy.identity_cache.get_or_create(request, load)  # once for each request


def _verify_indexes(caveat: Any, value: str) -> bool:
    """A page of an index leads to files of its bases: who may read the one reads the others."""
    try:
        return _STOCK_INDEXES(caveat, value)
    except InvalidMacaroon:
        if not tokens.reads_base(caveat.request, value.split(",")):
            raise
        return True


def _get_credentials(policy: Any, request: Any) -> tuple[Any, list[str]]:
    found, plugins = _STOCK_CREDENTIALS(policy, request)
    return tokens.credentials(found), plugins
