"""Take logins out of URLs, before anybody is shown them."""

import re

_LOGIN = re.compile(r"(?<=://)[^/\s]*@")


def without_logins(text: str) -> str:
    """`text`, in which URLs may be, with no user name and no password in them."""
    return _LOGIN.sub("", text)
