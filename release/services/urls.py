"""Change the login in a URL that a user may have changed elsewhere: its scheme, its options."""

from urllib.parse import urlsplit


def with_login(value: str, logins: tuple[str, str]) -> str:
    """`value`, a URL with the login of one of the URLs `logins`, with that of the second one."""
    parts = [urlsplit(url).netloc.rpartition("@")[0] for url in logins]
    for part in parts:
        if f"//{part}@" in value:
            return value.replace(f"//{part}@", f"//{parts[1]}@")
    return logins[1]
