"""Names of projects and of their files: the project and the version that a file name tells."""

import re
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import unquote

from packaging.utils import canonicalize_name, parse_sdist_filename
from packaging.version import Version

LONGEST = 255  # bytes that a file system takes as the name of a page or of a file
# The kinds that indexes have, and had: devpi's ALLOWED_ARCHIVE_EXTS (devpi_common.metadata) and .tar.xz.
_SDISTS = (".tar.gz", ".doc.zip", ".zip", ".tar.bz2", ".tgz", ".tar.xz", ".tar")
_INSTALLERS = (".egg", ".exe", ".rpm", ".msi", ".dmg", ".deb")
ARCHIVES = (".whl", *_SDISTS, *_INSTALLERS)
_NORMAL = re.compile(r"[a-z0-9]++(?:-[a-z0-9]++)*+")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION = re.compile(r"-(?=v?\d)")
_SEPARATOR = re.compile(r"[-_.]")
_MOST = 3  # projects that an address is worth a question about
# What follows the version in the names of eggs (Python and platform) and of distutils' binaries (platform).
_TAGS = re.compile(r"(?:-py[23][0-9.]*(?:-(?:linux|macosx|win).*)?|(?<=[0-9])\.(?:linux|macosx|win).*)$")
# Wheels and sdists as they are named today, with a version that is normalised.
_USUAL = re.compile(
    r"[^-]*+-((?:0|[1-9][0-9]*+)(?:\.(?:0|[1-9][0-9]*+))*+)(?:\.tar\.gz|(?:-[^-]*+){2,3}-[^-]*\.whl)"
)


def is_project(name: str) -> bool:
    """Whether a project may have this normalised name (PEP 508), for which there is room on a disk."""
    return len(name) <= LONGEST and _NORMAL.fullmatch(name) is not None


def beginnings(filename: str) -> Iterator[str]:
    """All projects whose names `filename` begins with, the shortest first."""
    words = canonicalize_name(filename[:LONGEST]).split("-")
    return filter(is_project, ("-".join(words[:count]) for count in range(1, len(words))))


def projects_of(filename: str) -> Sequence[str]:
    """The projects that a file of this name is likely one of, the likeliest first.

    a-1-1.0.tar.gz may be version 1.0 of a-1, or 1-1.0 of a; of a wheel there is no doubt.
    """
    if len(filename) > LONGEST:
        return ()
    if filename.endswith(".whl"):
        ends = [filename.find("-")]
    else:
        ends = [found.start() for found in _VERSION.finditer(filename)] or [filename.rfind("-")]
    before = (filename[:end] for end in reversed(ends) if end > 0)
    return [canonicalize_name(name) for name in before if _NAME.fullmatch(name)][:_MOST]


def all_begin_with(filenames: Iterable[str], project: str) -> bool:
    """Whether all these files are of a project whose name begins with the words of `project`."""
    length = len(project) + 1
    return {canonicalize_name(begin) for begin in {name[:length] for name in filenames}} <= {f"{project}-"}


def may_be_of(filename: str, project: str) -> bool:
    """Whether a file of this name can be of `project`, and not of one whose name only begins like that.

    Where no version follows a dash, nobody can tell where the name of the project ends.
    """
    if filename.endswith(".whl"):
        return canonicalize_name(filename.partition("-")[0]) == project
    stem = _stem(filename)
    ends = list(_VERSION.finditer(stem)) or _SEPARATOR.finditer(stem)
    return any(canonicalize_name(stem[: end.start()]) == project for end in ends)


def are_surely_of(filenames: Iterable[str], project: str) -> bool:
    """Whether all these are names of files of `project` as they usually are; if not, some still may be."""
    length = len(project)
    begins = [f"{begin}//" for begin in {name[: length + 2] for name in filenames}]  # one of thousands
    if any("-" in begin[:length] for begin in begins):
        wheels = {name[:length] for name in filenames if name.endswith(".whl")}
        if any("-" in begin for begin in wheels):  # the end of a wheel's project
            return False
    return all(
        canonicalize_name(begin[:length]) == project
        and begin[length] == "-"
        and "0" <= begin[length + 1] <= "9"
        for begin in begins
    )


def is_archive(filename: str) -> bool:
    """Whether this is the name of a distribution, of any kind that indexes have or had."""
    return filename.lower().endswith(ARCHIVES)


def others(filenames: Iterable[str], project: str) -> set[str]:
    """The names that an HTML page of `project` links to beside its files.

    All archives whose names begin with its name are the project's, as for devpi: the public index shows
    x-docs-1.0.tar.gz on the page of x. Of thousands, hardly any needs a look of its own.
    """
    length = len(project)
    usual = {begin for begin in {name[:length] for name in filenames} if canonicalize_name(begin) == project}
    looked_at = [name for name in filenames if name[:length] not in usual or not name.endswith(ARCHIVES)]
    return {
        name for name in looked_at if not (is_archive(name) and canonicalize_name(name).startswith(project))
    }


def versions_of(filenames: Iterable[str]) -> tuple[str, ...]:
    """The versions that file names tell, each once."""
    one_of_each = {name.rsplit("-", 3)[0] if name.endswith(".whl") else name: name for name in filenames}
    versions = dict.fromkeys(map(version_of, one_of_each.values()))
    return tuple(version for version in versions if version)


def version_of(filename: str) -> str | None:
    """The version of a file of any kind, normalised if it can be (PEP 700); None when its name has none."""
    if usual := _USUAL.fullmatch(filename):  # packaging takes 10 µs for each of thousands of names
        return usual[1]
    if filename.endswith(".whl"):
        parts = filename.split("-")  # packaging makes 34,992 tags of a name of 217 characters
        return _normalised(parts[1]) if 5 <= len(parts) <= 6 else None
    stem = _stem(filename)
    try:
        return str(parse_sdist_filename(f"{stem}.zip")[1])
    except ValueError:  # from before PEP 440: a-2004d.zip, a-1.0-old.zip, a-dev.tar.gz
        found = _VERSION.search(stem)
        return stem[found.end() :] if found else stem.rpartition("-")[2] if "-" in stem else None


def _normalised(version: str) -> str:
    try:
        return str(Version(version))
    except ValueError:  # no version of PEP 440, or one with more digits than Python reads
        return version


def version_for(project: str, filename: str) -> str | None:
    """The version that installers read from a file name of `project`; None when that does not name one.

    All that follows the project's own name and a dash, as pip and uv have it: a-1-2.zip is version 1.post2 of
    a, although `version_of` tells 2 as devpi does.
    """
    if filename.endswith(".whl"):
        return version_of(filename)
    stem = _stem(filename)
    names = (position for position, character in enumerate(stem) if character == "-")
    end = next((end for end in names if canonicalize_name(stem[:end]) == project), None)
    return None if end is None else stem[end + 1 :]


def _stem(filename: str) -> str:
    """Name and version of an archive that is no wheel."""
    lower = filename.lower()
    suffix = next((suffix for suffix in ARCHIVES if lower.endswith(suffix)), "")
    stem = filename[: len(filename) - len(suffix)]
    if suffix == ".rpm":  # name-version-release.architecture
        stem = stem.rpartition("-")[0]
    return _TAGS.sub("", stem)


def of_url(url: str) -> str:
    """The name of the file at `url`, as devpi understands it."""
    if "#" in url or "?" in url:
        url = url.partition("#")[0].partition("?")[0]
    return (unquote(url) if "%" in url else url).rpartition("/")[2]
