"""Variables of an application's configuration: which names may be set, and how long values may be."""

import re
from collections.abc import Mapping

from packhorse.errors import PackhorseError

NAME = r"[A-Za-z_][A-Za-z0-9_]*"
LONGEST = 128 * 1024 - 1
"""Bytes of NAME=VALUE: MAX_ARG_STRLEN of Linux, without the NUL at the end (execve(2))."""
LARGEST = 1024 * 1024
"""Bytes of a configuration: arguments and environment may have a quarter of the stack (execve(2))."""

_REFUSED = {
    r"PACKHORSE_\w*|PORT|DATA_DIR|LISTEN_(FDS|PID|FDNAMES)|VIRTUAL_ENV": "Packhorse sets it itself",
    r"PATH|HOME|USER|LOGNAME": "Packhorse sets it as the release and its user need it",
    r"LD_\w+|GLIBC_TUNABLES|GCONV_PATH": "the loader reads it, before any code of the release runs",
    r"PYTHON(HOME|PATH|STARTUP|PLATLIBDIR|USERBASE|PYCACHEPREFIX|EXECUTABLE)": (
        "it decides what code Python runs, and that is the release's"
    ),
    r"BASH_ENV|BASHOPTS|SHELLOPTS|IFS": "a shell of the release would obey it",
}


def check_name(name: str) -> None:
    """Raise PackhorseError for a name that no configuration may set."""
    if not re.fullmatch(NAME, name, re.ASCII):
        raise PackhorseError(
            f'"{name}" is no name of a variable.', "Use letters, digits and _, such as DATABASE_URL."
        )
    for pattern, reason in _REFUSED.items():
        if re.fullmatch(pattern, name, re.ASCII):
            raise PackhorseError(
                f"{name} cannot be set: {reason}.",
                "Choose another name; what a release itself needs stands in its Procfile, or in env of "
                "release.toml.",
            )


def check(values: Mapping[str, str]) -> None:
    """Raise PackhorseError for values that no process could be started with. Messages hold no value."""
    for name, value in values.items():
        check_name(name)
        if "\0" in value:
            raise PackhorseError(
                f"The value of {name} has a NUL, which no environment can hold.",
                "Encode it, such as with base64, and decode it in the application.",
            )
        length = _length(name, value)
        if length > LONGEST:
            raise PackhorseError(
                f"The value of {name} has {length - len(name) - 1} bytes: Linux starts no process with it.",
                f"Keep it below {LONGEST // 1024} kB, or let the application read it from a file.",
            )
    check_sum(values)


def check_sum(values: Mapping[str, str]) -> None:
    """Raise PackhorseError for values that together are too large for an environment."""
    size = sum(_length(name, value) for name, value in values.items())
    if size > LARGEST:
        raise PackhorseError(
            f"The configuration has {size // 1024} kB: Linux would start no process with it.",
            f"Keep it below {LARGEST // 1024} kB, or let the application read files.",
        )


def _length(name: str, value: str) -> int:
    """Bytes of NAME=VALUE. Raises PackhorseError."""
    try:
        return len(name) + 1 + len(value.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:  # half of a pair in JSON
        raise PackhorseError(
            f"The value of {name} is neither text nor bytes.", "Look at where it comes from."
        ) from None
