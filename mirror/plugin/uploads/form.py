"""Check the fields of an upload that become names of files and parts of addresses."""

import re
from collections.abc import Mapping

from packaging.utils import canonicalize_name

from mirror.plugin.simple import filenames
from mirror.plugin.uploads.archives import InvalidUploadError

# Of names as devpi and all build tools make them: nothing that means something in a path, a URL or HTML.
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")  # PEP 508
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!~-]{0,127}")
_FILENAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+!~-]{0,254}")


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
