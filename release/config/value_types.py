"""Types of the values in release.toml: each has one strict form, checked when the file is read."""

import ipaddress
import re
from typing import Annotated

from packaging.utils import canonicalize_name
from pydantic import AfterValidator, BeforeValidator, Field

from packhorse import settings
from packhorse.settings import Url, matching
from release.config import unchecked


def _index(text: str) -> str:
    return text.rstrip("/").removesuffix("/+simple")


def unique(names: list[str]) -> list[str]:
    """`names`, if none is there twice. Raises ValueError."""
    duplicates = sorted({name for name in names if names.count(name) > 1})
    if duplicates:
        raise ValueError(f"{', '.join(duplicates)} is listed twice")
    return names


def inside_project(text: str) -> str:
    """`text`, if it is a path inside the project. Raises ValueError."""
    if text.startswith("/") or ".." in text.split("/"):
        raise ValueError(f'"{text}" is not a path inside the project')
    return text


def without_nul(text: str) -> str:
    """`text`, if an environment and an argument list can hold it. Raises ValueError."""
    if "\0" in text:
        raise ValueError("has a NUL, which no environment can hold")  # execve(2)
    return text


def index_reference(text: str) -> str:
    """An index as the user names it: a URL, or USER/INDEX on the server of `index`. Raises ValueError."""
    if "://" in text:
        return _index(settings.check_url(text))
    if not re.fullmatch(r"[A-Za-z0-9_][\w.@-]*/[A-Za-z0-9_][\w.@-]*", text, re.ASCII):
        raise ValueError(f'"{text}" is neither the URL of an index nor USER/INDEX, such as "company/prod"')
    return text


def _address(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f'"{text}" is no IP address, such as "10.0.0.5"') from None
    if "%" in text or address.is_link_local or address.is_loopback or address.is_multicast:
        raise ValueError(f"{text} means another host to each host: name one that all see")
    if address.is_unspecified or getattr(address, "ipv4_mapped", None):
        raise ValueError(f'"{text}" is no address of a host, such as "10.0.0.5"')
    return str(address)


def _list(value: object) -> object:
    if isinstance(value, dict):  # web1.example.com = "…", without the quotes around the name
        raise ValueError(  # noqa: TRY004  # pydantic lets a TypeError pass
            'is a table: names with dots need quotes, such as "web1.example.com" = "10.0.0.5"'
        )
    return [value] if isinstance(value, str) else value


Positive = Annotated[float, Field(gt=0, le=7 * 86400, allow_inf_nan=False)]
IndexUrl = Annotated[Url, AfterValidator(_index)]
IndexReference = Annotated[str, AfterValidator(index_reference)]
AppName = Annotated[
    str,
    matching(
        r"[a-z0-9]([a-z0-9-]*[a-z0-9])?",
        'a name of lower-case letters, digits and "-", such as "my-shop"',
        40,
    ),
]
HostName = Annotated[
    str, matching(unchecked.HOST_NAME, 'the name of a host without a user, such as "web1.example.com"', 253)
]
Domain = Annotated[
    str, matching(r"(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?", 'a domain, such as "shop.example.com"', 253)
]
IpAddress = Annotated[str, AfterValidator(_address)]
HostAddresses = Annotated[
    list[IpAddress], Field(min_length=1), AfterValidator(unique), BeforeValidator(_list)
]
LoginName = Annotated[str, matching(unchecked.LOGIN_NAME, 'a user to log in as, such as "admin"', 64)]
UserName = Annotated[str, matching(r"[a-z_][a-z0-9_-]*", 'a user, such as "shop"', 32)]  # useradd(8)
ProjectName = Annotated[
    str,
    matching(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", 'the name of a package, such as "psycopg2"'),
    AfterValidator(canonicalize_name),
]
VariableName = Annotated[str, matching(r"[A-Za-z_][A-Za-z0-9_]*", 'a variable, such as "DATABASE_URL"')]
ProcessName = Annotated[  # as in a Procfile
    str, matching(r"[A-Za-z][A-Za-z0-9_-]{0,30}", 'a process type of the Procfile, such as "worker"')
]
PublicKey = Annotated[
    str,
    matching(
        r"(ssh|ecdsa|sk)-[\w@.-]+ [\w+/=]+( [^\x00-\x1f\x7f-\x9f]*)?",
        'a line of a .pub file, such as "ssh-ed25519 AAAA… ann"',
    ),
]
UrlPath = Annotated[
    str,
    matching(r"/((?!\.\.?/)[\w@+=:,.~-]+/)+", 'a path that begins and ends with "/", such as "/media/"'),
]
ProbePath = Annotated[
    str, matching(r"/[!-~]*", 'a path that begins with "/" and has no spaces, such as "/healthz"')
]
HostHeader = Annotated[
    str,
    matching(r"[A-Za-z0-9_.:\[\]-]+", 'a Host header, such as "shop.example.com" or "localhost:8000"', 259),
]
LogSize = Annotated[str, matching(r"[1-9][0-9]*[kMG]", 'a size as logrotate writes it, such as "100M"')]
Size = Annotated[str, matching(r"[1-9][0-9]*[kmgKMG]?", 'a size as nginx writes it, such as "10m"')]
Memory = Annotated[  # systemd.resource-control(5)
    str, matching(r"[1-9][0-9]*([KMGT]|%)?", 'a size or a share as systemd writes it, such as "2G" or "50%"')
]
Percentage = Annotated[str, matching(r"[1-9][0-9]*%", 'a percentage of one processor, such as "150%"')]
PythonVersion = Annotated[str, matching(r"3\.(1[1-9]|[2-9][0-9])", 'a version of Python, such as "3.12"')]
Version = Annotated[str, matching(r"[0-9][\w.+!-]*", 'a version, such as "0.1.0"')]
Calendar = Annotated[  # systemd.time(7)
    str, matching(r"[\w*:/,. ~-]+", 'a time as systemd writes it, such as "daily" or "*-*-* 03:00"')
]


Command = Annotated[  # an argument list, which no shell sees
    list[Annotated[str, AfterValidator(without_nul)]], Field(min_length=1)
]
