"""URLs of databases of [services] in a configuration: a rollback keeps the login that is open now."""

import re
from collections.abc import Mapping

# APP_TARGET_SERVICE, the name of the database, of which PostgreSQL and MariaDB have two logins.
_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*://)(?P<login>(?P<name>[a-z0-9-]+_[\w-]+?_[a-z0-9-]+?)(__[ab])?:[^/?#@]*)"
    r"@(?P<place>[^/?#@]+)(?P<rest>[/?#].*)?",
    re.ASCII,
)


def with_present_logins(app: str, earlier: Mapping[str, str], present: Mapping[str, str]) -> dict[str, str]:
    """`earlier` variables, with login and place of `present` ones where both lead to one database of `app`.

    `release services rotate` has closed the login of before, and a database may have moved to another host.
    Scheme and options stay: they are for the code.
    """
    return {name: _with_login(app, value, present.get(name, "")) for name, value in earlier.items()}


def _with_login(app: str, earlier: str, present: str) -> str:
    before, now = _URL.fullmatch(earlier), _URL.fullmatch(present)
    if not before or not now or before["name"] != now["name"] or not now["name"].startswith(f"{app}_"):
        return earlier
    return f"{before['scheme']}{now['login']}@{now['place']}{before['rest'] or ''}"
