"""Hosts named on the command line instead of a target of release.toml: [USER@]HOST, as ssh takes it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from packhorse.errors import PackhorseError
from release.config.unchecked import HOST_NAME, LOGIN_NAME

_ARGUMENT = re.compile(rf"((?P<user>{LOGIN_NAME})@)?(?P<host>{HOST_NAME}|\[[0-9A-Fa-f:.]+(%\w+)?\])")


@dataclass(frozen=True)
class HostArgument:
    """A host, and the user before its "@" (None: nobody): who `release provision` logs in as."""

    host: str
    user: str | None = None


def find(text: str, targets: Mapping[str, Sequence[str]]) -> HostArgument:
    """The host that `text` means, which is no target; `targets`: those of release.toml, and their hosts.

    ssh decides later whether there is such a host. A word that is nearly the name of a target is refused, as
    a misspelled target would be deployed to without its settings; a host of that name is reached with a user
    or by its full name. A host of a target is refused for the same reason. Raises PackhorseError.
    """
    known = sorted({"local", *targets})
    matched = _ARGUMENT.fullmatch(text)
    if not matched or _is_misspelled(text, known):
        raise _unknown(text, known)
    host = matched["host"].strip("[]")
    if host.count(":") == 1:
        raise PackhorseError(
            f"{text}: a host has its port in ~/.ssh/config, not behind its name.",
            f"Write there: Host {host.partition(':')[0]}, and below it: Port {host.partition(':')[2]}",
        )
    owner = next((name for name, hosts in targets.items() if _plain(host) in map(_plain, hosts)), None)
    if owner:
        raise PackhorseError(
            f"{host} is a host of the target {owner}, whose settings it needs.",
            f"Name the target: {owner} --limit {host}",
        )
    return HostArgument(host, matched["user"])


def _plain(host: str) -> str:
    """The one form of a name that DNS takes in several."""
    return host.lower().removesuffix(".")


def _is_misspelled(text: str, known: Sequence[str]) -> bool:
    return bool(re.fullmatch(r"[\w-]+", text) and _near(text, known))


def _near(text: str, known: Sequence[str]) -> str | None:
    import difflib  # where nothing is wrong, nobody waits for it

    abbreviated = [name for name in known if name.startswith(text)]
    return next(iter(abbreviated or difflib.get_close_matches(text.lower(), known, 1)), None)


def _unknown(text: str, known: Sequence[str]) -> PackhorseError:
    near = _near(text, known)
    return PackhorseError(
        f'There is no target "{text}"'
        + (f', did you mean "{near}"?' if near else ", nor can a host be called so."),
        f"Use one of {', '.join(known)}, declare another in release.toml ([targets.NAME]), or name a host as "
        "ssh takes it, such as web1.example.com or admin@web1.",
    )
