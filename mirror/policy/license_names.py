"""Check the licenses that policies name against SPDX's list: one that is not on it fits no file."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

_ID = re.compile(r"[A-Za-z0-9.+-]+")
_NUMBERED = re.compile(r"([a-z]+?)[ -]?v?\.? ?(\d.*)")  # gplv3, GPL 3, apache2


@dataclass(frozen=True)
class _Known:
    """Ids on SPDX's list."""

    licenses: tuple[str, ...]
    exceptions: tuple[str, ...]
    deprecated: tuple[str, ...]  # licenses whose ids are others now


def unknown(policies: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """A sentence for each name or pattern that fits no license, of policies as the server keeps them."""
    named = {
        (index, name): None
        for index, rules in policies.items()
        for key in ("allow", "deny")
        for name in rules.get("licenses", {}).get(key) or ()
    }
    for index, name in named:
        if not _fits(name):
            where = f"the policy of {index}" if index else "[policy]"
            near = ", ".join(_near(name.lower()))
            hint = f", did you mean {near}?" if near else ""
            yield f"{where} names the license {name}, which is not on SPDX's list and fits no file{hint}"


@cache
def _known() -> _Known:
    """Ids of licenses and exceptions on SPDX's list, and former ids; importing that takes 60 ms."""
    import license_expression

    symbols = license_expression.get_spdx_licensing().known_symbols.values()
    licenses = [each for each in symbols if not each.is_exception and _is_license(each.key)]
    return _Known(
        tuple(each.key for each in licenses),
        tuple(each.key for each in symbols if each.is_exception and _is_exception(each.key)),
        tuple(alias for each in licenses for alias in each.aliases if _is_license(alias)),
    )


def _is_license(name: str) -> bool:
    """Whether this is an id of SPDX, of now or of before; LicenseRef- begins names of one's own."""
    return not name.startswith("LicenseRef-") and bool(_ID.fullmatch(name)) and _is_expression(name)


def _is_exception(name: str) -> bool:
    return bool(_ID.fullmatch(name)) and _is_expression(f"MIT WITH {name}")


def _is_expression(text: str) -> bool:
    try:
        canonicalize_license_expression(text)
    except InvalidLicenseExpression:
        return False
    return True


def _fits(name: str) -> bool:
    """Whether a name or a pattern can mean a license, with an exception or without."""
    license_, with_, exception = name.lower().partition(" with ")
    if "*" not in name and "?" not in name and "[" not in name:
        fits = license_.startswith("licenseref-") or _is_license(license_)
        return fits and (not with_ or _is_exception(exception))
    if license_.startswith("licenseref-"):
        return True
    known = _known()
    licenses, exceptions = (*known.licenses, *known.deprecated), known.exceptions
    if with_:
        return _matches(license_, licenses) and _matches(exception, exceptions)
    return _matches(license_, licenses) or _matches(license_, [f"GPL-2.0-only WITH {e}" for e in exceptions])


def _matches(pattern: str, ids: Iterable[str]) -> bool:
    return any(fnmatchcase(each.lower(), pattern.removesuffix("+")) for each in ids)


def _near(name: str) -> list[str]:
    """Ids that were perhaps meant, by their beginning or by their letters."""
    known = {each.lower(): each for each in _known().licenses}
    if exceptions := [each for each in _known().exceptions if each.lower() == name]:
        return [f"* WITH {each}" for each in exceptions]  # an exception is none without its license
    begin = _NUMBERED.sub(r"\1-\2", name.removesuffix(" license")).strip(" +")
    if begin in known:
        return [known[begin]]
    longer = sorted(
        (each for each in known if each.startswith(begin)),
        key=lambda each: (not each.startswith(f"{begin}-"), len(each), each),
    )
    return [known[each] for each in longer[:3] or difflib.get_close_matches(name, known, 1)]
