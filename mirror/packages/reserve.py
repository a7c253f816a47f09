"""Reserve names for packages of our own, and release them: no upstream fills a reserved name."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from mirror import config as configuration
from mirror.api import Api
from packhorse.errors import PackhorseError

Records = Mapping[str, Mapping[str, Any]]  # name or pattern -> who reserved it, when, and on which index


def reserve(api: Api, names: Sequence[str]) -> list[str]:
    """Reserve names and patterns; return a sentence for each. Raises PackhorseError."""
    checked = [_checked(name) for name in names]
    for name in checked:
        api.call("PUT", _path(name))
    return [f"reserved {name}: no index of uploads shows what an upstream has under it" for name in checked]


def release(api: Api, name: str) -> str:
    """Release a name or pattern; return a sentence for the user. Raises PackhorseError."""
    name = _checked(name)
    api.call("DELETE", _path(name))
    if patterns := _covering(records(api), name):
        return f"released {name}, but {patterns[0]} still reserves it: {_way_out(patterns[0])}"
    return (
        f"released {name}: an index without files of its own under it shows what the upstream has"
        f" (`devpi remove {name}` removes yours)"
    )


def _covering(known: Records, name: str) -> list[str]:
    """The patterns that reserve `name`, too."""
    return [each for each in known if each != name and configuration.covers(each, name)]


def _way_out(pattern: str) -> str:
    return f'remove it from `reserved` in mirror.toml if it is there, then mirror release-name "{pattern}"'


def records(api: Api) -> Records:
    """All reservations of the mirror. Raises PackhorseError."""
    found: Records = api.call("GET", "/+reserved")
    return found


def explain(api: Api, name: str, declared: Sequence[str]) -> str:
    """Say why a name is reserved and what its release risks.

    Raises PackhorseError when it is not reserved, or by one of `declared`, the names in mirror.toml.
    """
    name = _checked(name)
    if name in declared:
        raise PackhorseError(
            f"mirror.toml reserves {name}.", "Remove it from `reserved` there, then run the command again."
        )
    known = records(api)
    if name not in known:
        patterns = _covering(known, name)
        raise PackhorseError(
            f"{name} is not reserved" + (f" by itself, but by {patterns[0]}." if patterns else "."),
            f'Release that: mirror release-name "{patterns[0]}"'
            if patterns
            else "`mirror reserve --list` lists all.",
        )
    about = f"{name} is {describe(known[name])}."
    if patterns := _covering(known, name):
        return f"{about}\nIt stays reserved when it is released, by {patterns[0]}: {_way_out(patterns[0])}"
    return (
        f"{about}\nOnce it is released, whoever publishes a project of this name upstream has its code"
        " installed by those who ask this mirror for it.\n"
        "To mix own and public releases of a name on one index, set its"
        " mirror_whitelist instead."
    )


def describe(record: Mapping[str, Any]) -> str:
    """Say in words who reserved a name, when and where."""
    if not record.get("index"):
        return f"reserved by {record['by']}, {record['at']}"
    if record["by"] == "packhorse":
        return f"reserved since {record['at']}: found on {record['index']}"
    return f"reserved by an upload of {record['by']} to {record['index']}, {record['at']}"


def as_text(known: Records) -> str:
    """All reservations, for people."""
    return "\n".join(f"{name}  {describe(known[name])}" for name in sorted(known)) or "no name is reserved"


def _checked(name: str) -> str:
    try:
        return configuration.check_reserved(name)
    except ValueError as error:
        raise PackhorseError(f'"{name}": {error}', "Name a project, or a pattern such as acme-*.") from error


def _path(name: str) -> str:
    return f"/+reserved/{quote(name, '')}"
