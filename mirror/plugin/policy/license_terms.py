"""License expressions of what metadata states: SPDX (PEP 639), classifiers, or the old field License."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import license_expression
from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from mirror.plugin.policy.evidence import License

LONGEST = 500  # characters of an expression
_PARSER = license_expression.Licensing()
# Of a classifier that fits several licenses, all must pass: which one is meant, nobody says.
_OF_CLASSIFIERS = {
    "Academic Free License (AFL)": "AFL-3.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-2-Clause AND BSD-3-Clause",
    "Boost Software License 1.0 (BSL-1.0)": "BSL-1.0",
    "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication": "CC0-1.0",
    "Eclipse Public License 2.0 (EPL-2.0)": "EPL-2.0",
    "European Union Public Licence 1.2 (EUPL 1.2)": "EUPL-1.2",
    "GNU Affero General Public License v3": "AGPL-3.0-only",
    "GNU Affero General Public License v3 or later (AGPLv3+)": "AGPL-3.0-or-later",
    "GNU General Public License (GPL)": "GPL-2.0-only AND GPL-3.0-only",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU Lesser General Public License v2 (LGPLv2)": "LGPL-2.1-only",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.1-or-later",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "GNU Library or Lesser General Public License (LGPL)": "LGPL-2.1-only AND LGPL-3.0-only",
    "Historical Permission Notice and Disclaimer (HPND)": "HPND",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "Mozilla Public License 1.1 (MPL 1.1)": "MPL-1.1",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Other/Proprietary License": "LicenseRef-Proprietary",
    "Proprietary License": "LicenseRef-Proprietary",
    "Public Domain": "LicenseRef-Public-Domain",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "Zope Public License": "ZPL-2.1",
    "zlib/libpng License": "Zlib",
}
_OF_TEXTS = {
    **{text.casefold(): terms for text, terms in _OF_CLASSIFIERS.items()},
    "3-clause bsd": "BSD-3-Clause",
    "agplv3": "AGPL-3.0-only",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache-2": "Apache-2.0",
    "bsd": "BSD-2-Clause AND BSD-3-Clause",
    "gpl": "GPL-2.0-only AND GPL-3.0-only",
    "gplv2": "GPL-2.0-only",
    "gplv3": "GPL-3.0-only",
    "lgpl": "LGPL-2.1-only AND LGPL-3.0-only",
    "lgplv3": "LGPL-3.0-only",
    "new bsd": "BSD-3-Clause",
    "psf": "PSF-2.0",
    "the mit license": "MIT",
}
# Ids that SPDX's list of licenses calls deprecated, and what stands for them now.
_OF_DEPRECATED = {
    "bsd-2-clause-freebsd": "BSD-2-Clause-Views",
    "bsd-2-clause-netbsd": "BSD-2-Clause",
    "bzip2-1.0.5": "bzip2-1.0.6",
    "ecos-2.0": "GPL-2.0-or-later WITH eCos-exception-2.0",
    "gpl-2.0-with-autoconf-exception": "GPL-2.0-only WITH Autoconf-exception-2.0",
    "gpl-2.0-with-bison-exception": "GPL-2.0-only WITH Bison-exception-2.2",
    "gpl-2.0-with-classpath-exception": "GPL-2.0-only WITH Classpath-exception-2.0",
    "gpl-2.0-with-font-exception": "GPL-2.0-only WITH Font-exception-2.0",
    "gpl-2.0-with-gcc-exception": "GPL-2.0-only WITH GCC-exception-2.0",
    "gpl-3.0-with-autoconf-exception": "GPL-3.0-only WITH Autoconf-exception-3.0",
    "gpl-3.0-with-gcc-exception": "GPL-3.0-only WITH GCC-exception-3.1",
    "standardml-nj": "SMLNJ",
    "wxwindows": "LGPL-2.0-or-later WITH WxWindows-exception-3.1",
}
_WITH = re.compile(" with ", re.IGNORECASE)
_GNU = re.compile(r"((?:A|L)?GPL-\d\.\d|GFDL-\d\.\d)(-only|-or-later)?(\+?)", re.IGNORECASE)


@lru_cache(maxsize=2000)
def of(stated: License) -> str | None:
    """The SPDX expression that is stated; None when nobody can tell.

    License-Expression counts alone (PEP 639); else all classifiers count together; else the text of License.
    """
    if stated.expression:
        return _canonical(stated.expression)
    named = [each.rpartition(" :: ")[2] for each in stated.classifiers]
    known = [_OF_CLASSIFIERS.get(each) for each in named if each != "OSI Approved"]
    if known:
        return " AND ".join(f"({each})" for each in known if each) if all(known) else None
    text = stated.text.strip()
    return _OF_TEXTS.get(text.casefold()) or _canonical(text)


def current(terms: str) -> str:
    """A license, with an exception or without, by the ids that SPDX has now: of GPL-3.0+ GPL-3.0-or-later."""
    name, *exception = _WITH.split(terms, maxsplit=1)
    if found := _GNU.fullmatch(name):
        family, end, plus = found.groups()
        end = "-or-later" if plus else end or "-only"
        name = f"{family}{end}"
    return " WITH ".join([_OF_DEPRECATED.get(name.casefold(), name), *exception])


def names(terms: str) -> tuple[str, ...]:
    """The names by which a rule may mean a license: with its exception and without, in all spellings.

    Of "MIT+" (this version or a later one), "MIT" too.
    """
    found = [name for each in (terms, current(terms)) for name in (each, each.partition(" WITH ")[0])]
    return tuple(dict.fromkeys([*found, *(each.removesuffix("+") for each in found)]))


def holds(expression: str, is_fine: Callable[[str], bool]) -> bool:
    """Whether licenses for which `is_fine` suffice: of A OR B one does, of A AND B both are needed.

    `is_fine` gets "GPL-2.0-only", or "GPL-2.0-only WITH Classpath-exception-2.0".
    """
    return _holds(_PARSER.parse(expression), is_fine)


def _holds(node: Any, is_fine: Callable[[str], bool]) -> bool:
    if isinstance(node, _PARSER.OR):
        return any(_holds(each, is_fine) for each in node.args)
    if isinstance(node, _PARSER.AND):
        return all(_holds(each, is_fine) for each in node.args)
    return is_fine(str(node.render()))


def _canonical(text: str) -> str | None:
    try:
        return canonicalize_license_expression(text) if 0 < len(text) <= LONGEST else None
    except (InvalidLicenseExpression, RecursionError, MemoryError):
        return None
