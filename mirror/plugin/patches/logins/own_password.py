"""Let users change their own password and nothing else of themselves; say in words what they may not.

devpi allows that, but its client sends all that is known of the user along, and then it refuses.
"""

import json
from collections.abc import Callable, Collection
from typing import Any

from devpi_server import views
from devpi_server.views import PyPIView

from mirror.plugin.access import root_tokens, tokens
from mirror.plugin.patches import replace_members

_STOCK: Callable[[Any], Any] = PyPIView.user_patch


def apply() -> None:
    """Answer PATCH /USER by our view, which calls devpi's."""
    replace_members(PyPIView, user_patch=_user_patch)


def _user_patch(view: Any) -> Any:
    """Pass on what differs from what is known; tokens for reading end with the password that they are of."""
    request, user = view.request, view.context.user
    sent, known = views.getjson(request), user.get()
    changes = {key: value for key, value in sent.items() if key == "password" or known.get(key) != value}
    is_password = changes.keys() == {"password"}
    if not request.has_permission("user_modify_password" if is_password else "user_modify"):
        return views.apiresult(403, _refusal(request, user.name, changes))
    password = changes.get("password")
    if password == "" and request.authenticated_userid != "root":
        return views.apiresult(400, "the password is empty")  # of short ones, devpi's client asks whether
    request.body = json.dumps(changes).encode(request.charset)
    answer = _STOCK(view)
    if password is not None and answer.status_code == 200:
        root_tokens.forget(user, root_tokens.READING)
    return answer


def _refusal(request: Any, name: str, changes: Collection[str]) -> str:
    who = request.authenticated_userid
    if who is None:
        return f"log in to change user {name}"
    if tokens.is_token(request):
        return "a token may not change users"
    if who == name:
        return (
            f"users may change their own password alone; root changes {', '.join(sorted(changes)) or 'more'}"
        )
    return f"{who} may not change user {name}"
