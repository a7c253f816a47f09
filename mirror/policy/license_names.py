"""Check the licenses that policies name against SPDX's list: one that is not on it fits no file."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any


def unknown(policies: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """A sentence for each name or pattern that fits no license, of policies as the server keeps them."""
    named = {
        (index, name): None
        for index, rules in policies.items()
        for key in ("allow", "deny")
        for name in rules.get("licenses", {}).get(key) or ()
    }
    known = _known() if named else {}
    for index, name in named:
        if not all(_fits(part, known) for part in name.split(" WITH ")):
            where = f"the policy of {index}" if index else "[policy]"
            near = ", ".join(_near(name.lower(), known))
            hint = f", did you mean {near}?" if near else ""
            yield f"{where} names the license {name}, which is not on SPDX's list and fits no file{hint}"


def _known() -> dict[str, str]:
    """The names of licenses and exceptions, by their lower case; importing the list takes 60 ms."""
    import license_expression

    symbols = license_expression.get_spdx_licensing().known_symbols.values()
    names = (name for each in symbols for name in (each.key, *each.aliases))
    return {name.lower(): name for name in names if not name.startswith("LicenseRef-")}


def _fits(part: str, known: Iterable[str]) -> bool:
    """Whether a name or a pattern can mean something; LicenseRef- begins names of one's own (SPDX)."""
    pattern = part.lower().removesuffix("+")
    return pattern.startswith("licenseref-") or any(fnmatchcase(each, pattern) for each in known)


def _near(name: str, known: Mapping[str, str]) -> list[str]:
    longer = sorted((each for each in known if each.startswith(name)), key=lambda each: (len(each), each))
    return [known[each] for each in longer[:3] or difflib.get_close_matches(name, known, 1)]
