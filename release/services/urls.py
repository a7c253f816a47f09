"""Change the login in a URL that a user may have changed elsewhere: its scheme, its options."""

import re
from urllib.parse import urlsplit

from packhorse.errors import PackhorseError

SCHEMES = {
    "postgresql": ["postgresql", "postgresql+psycopg", "postgresql+psycopg2", "postgresql+asyncpg"],
    "mariadb": ["mysql", "mysql+pymysql", "mysql+mysqldb", "mysql+aiomysql", "mysql+asyncmy"],
    "redis": ["redis"],
}
"""Schemes that drivers of a kind of database read, the one of packhorse-service first."""
_NAMES = {"postgresql": "postgresql|postgres", "mariadb": "mysql|mariadb", "redis": "redis"}
# How drivers are told to use TLS with a certificate that nobody has signed, as these servers have.
_TLS = {
    "asyncpg": "ssl=require",
    **dict.fromkeys(("pymysql", "aiomysql", "asyncmy"), "ssl_check_hostname=false"),
}
_TLS_OPTION = re.compile(
    r"(?<![^&])(sslmode=require|ssl=require|ssl_mode=REQUIRED|ssl_check_hostname=false)(?![^&])"
)


def with_login(value: str, url: str) -> str:
    """`value`, a URL with a login of the database of `url`, whatever its password, with that of `url`."""
    login = urlsplit(url).netloc.rpartition("@")[0]
    name = re.escape(login.partition(":")[0][: -len("__a")])
    # a password that somebody has typed may have an unquoted @, / or #
    return re.sub(rf"//{name}__[ab]:(?:[^/?#\s]*|[^@\s]*)@", lambda _found: f"//{login}@", value)


def kept(value: str, url: str) -> str:
    """`url` with what a user has changed in `value`, an earlier URL of the same database.

    That is all but the login at the same address, and the scheme at another one.
    """
    if same_address(value, url):
        return with_login(value, url)
    scheme = re.match(r"[a-z][a-z0-9+]*(?=://)", value)
    return with_scheme(url, scheme[0]) if scheme else url


def check_scheme(scheme: str, kind: str) -> None:
    """Raise PackhorseError for a scheme that is none of databases of `kind`."""
    if not re.fullmatch(rf"({_NAMES[kind]})(\+[a-z0-9_]+)?", scheme, re.ASCII):
        raise PackhorseError(
            f'"{scheme}" is no scheme of {kind}.', f"Such as: --scheme {' or '.join(SCHEMES[kind][:2])}"
        )


def with_scheme(url: str, scheme: str) -> str:
    """`url` with another scheme, and with the word of its driver for TLS."""
    name, _, driver = scheme.partition("+")
    usual = "sslmode=require" if name.startswith("postgres") else "ssl_mode=REQUIRED"
    place, mark, options = url.partition("://")[2].partition("?")
    return f"{scheme}://{place}{mark}{_TLS_OPTION.sub(_TLS.get(driver, usual), options)}"


def same_address(value: str, url: str) -> bool:
    """Whether `value` leads to the host and port of `url`."""
    return f"@{urlsplit(url).netloc.rpartition('@')[2]}/" in value
