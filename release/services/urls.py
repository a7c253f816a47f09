"""Change the login in a URL that a user may have changed elsewhere: its scheme, its options."""

import re
from urllib.parse import urlsplit


def with_login(value: str, url: str) -> str:
    """`value`, a URL with a login of the database of `url`, whatever its password, with that of `url`."""
    login = urlsplit(url).netloc.rpartition("@")[0]
    name = re.escape(login.partition(":")[0][: -len("__a")])
    # a password that somebody has typed may have an unquoted @, / or #
    return re.sub(rf"//{name}__[ab]:(?:[^/?#\s]*|[^@\s]*)@", lambda _found: f"//{login}@", value)


def same_address(value: str, url: str) -> bool:
    """Whether `value` leads to the host and port of `url`."""
    return f"@{urlsplit(url).netloc.rpartition('@')[2]}/" in value
