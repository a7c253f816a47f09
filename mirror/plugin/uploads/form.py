"""Check the fields of an upload that become names of files, parts of addresses, and rows of pages."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from mirror.plugin.simple import filenames
from mirror.plugin.uploads import digests
from mirror.plugin.uploads.archives import InvalidUploadError, shown

# Of names as devpi and all build tools make them: nothing that means something in a path, a URL or HTML.
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")  # PEP 508
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!~-]{0,127}")
_FILENAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+!~-]{0,254}")
# Of a digest that is a file, nothing is read, here and by devpi.
_FILES = {"content", "gpg_signature", *digests.FIELDS}
_LONGEST_SPECIFIER = 500  # characters


class Form(Protocol):
    """A form as webob has it: a field may be there several times."""

    def items(self) -> Iterable[tuple[str, Any]]: ...


def texts(form: Form) -> dict[str, str]:
    """The fields of `form` that are texts. Raises InvalidUploadError for one that is a file, too.

    Of two values, devpi would take the last.
    """
    found = {}
    for name, value in form.items():
        if isinstance(value, str):
            found[name] = value
        elif name not in _FILES:
            raise InvalidUploadError(f"the field {name if name == ':action' else shown(name)} is a file")
    return found


def check(texts: Mapping[str, str], filename: str | None) -> None:
    """Raise InvalidUploadError for names that no project, version or file can have.

    `filename` is None where there is no file, or devpi names it (documentation, whose version may be empty).
    """
    name, version = texts.get("name", ""), texts.get("version", "")
    if not _NAME.fullmatch(name) or not filenames.is_project(canonicalize_name(name)):
        raise InvalidUploadError("the field name is no name of a project (PEP 508)")
    if not _VERSION.fullmatch(version) and (version or filename is not None):
        raise InvalidUploadError("the field version is no version")
    if filename is not None and not _FILENAME.fullmatch(filename):
        raise InvalidUploadError("the file has a name that no distribution can have")
    if not _is_specifier(texts.get("requires_python", "")):
        raise InvalidUploadError("the field requires_python is no specifier of versions (PEP 440)")


def _is_specifier(text: str) -> bool:
    if len(text) > _LONGEST_SPECIFIER or not text.isprintable():
        return False
    try:
        SpecifierSet(text)
    except ValueError:  # a number of thousands of digits is no InvalidSpecifier
        return False
    return True
