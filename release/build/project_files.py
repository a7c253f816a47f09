"""Find the files of a project for the working directory, and refuse secrets and links out of the project."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from packhorse.errors import PackhorseError
from release.host.formats import artifact

_WHERE = "release.toml: files:"
_SECRET_NAMES = re.compile(
    r"\.env|\.env\..+|.+\.env|\.netrc|\.pypirc|\.pgpass|\.my\.cnf|\.git-credentials|\.htpasswd|"
    r"id_(rsa|dsa|ecdsa|ed25519)(_sk)?|.+\.(pem|key|p12|pfx|jks|keystore|kdbx|ppk|age)",
    re.IGNORECASE,
)
_HARMLESS_NAMES = re.compile(r".*\.(example|sample|template|dist)|example\.env|sample\.env", re.IGNORECASE)
_PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----|AGE-SECRET-KEY-1")
_PUBLIC = re.compile(rb"-----BEGIN (CERTIFICATE|PUBLIC KEY)-----")
_SETTINGS = {".ini", ".cfg", ".conf", ".toml", ".yaml", ".yml", ".json", ".properties"}
# A value that is written out: neither a variable nor a template, such as ${TOKEN}, %(token)s, {{ token }}.
_SECRET_VALUE = re.compile(
    r"""^\s*["']?[\w.-]*(secret|passw(or)?d|token|api_?key|hmac)[\w.-]*["']?\s*[:=]\s*["']?(?P<value>[^\s"'$%{<,]{6,})""",
    re.IGNORECASE,
)
_PASSWORD_IN_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/:@]*:(?P<value>[^\s/@$%{<]+)@", re.IGNORECASE)
_DATABASE = re.compile(r".+\.(db|sqlite3?)(-wal|-shm|-journal)?", re.IGNORECASE)


def find(folder: Path, patterns: Iterable[str], tracked: Collection[str]) -> dict[str, artifact.ProjectFile]:
    """The files of the project in `folder` that `patterns` name, by path, sorted.

    Folders and patterns select from `tracked`, the paths that git does not ignore; a file that is named
    itself may be ignored. Raises PackhorseError for a pattern that selects nothing, a secret, a link that
    leads out of the project, and when all are too large.
    """
    selected = {path for pattern in patterns for path in _select(folder, pattern, tracked)}
    found = {path: _read(folder, path) for path in sorted(selected)}
    size = sum(len(file.content) for file in found.values())
    if size > artifact.LARGEST_FILES:
        raise PackhorseError(
            f"{_WHERE} they have {size >> 20} MiB, more than {artifact.LARGEST_FILES >> 20}.",
            "List fewer; large data belongs into $DATA_DIR of the hosts, or into a package of its own.",
        )
    return found


def _select(folder: Path, pattern: str, tracked: Collection[str]) -> list[str]:
    if not pattern.endswith("/") and (folder / pattern).is_file():
        return [pattern]
    found = [path for path in tracked if matches(path, pattern) and not _is_made(path, pattern)]
    if not found and (folder / pattern).is_symlink():
        raise PackhorseError(
            f"{_WHERE} {pattern} is a link, and not to a file.", "Name what it leads to, inside the project."
        )
    if not found:
        raise PackhorseError(
            f'{_WHERE} "{pattern}" matches no file of the project.',
            "Correct it. Folders and patterns leave out what git ignores: name such files one by one.",
        )
    return found


def matches(path: str, pattern: str) -> bool:
    """Whether `pattern` names `path` or a folder above it.

    `*`, `?` and `[…]` stay within one part of the path; `**` is any number of parts.
    """
    parts, wanted = path.split("/"), pattern.removesuffix("/").split("/")
    return _match(parts[:-1] if pattern.endswith("/") else parts, wanted)


def _match(parts: list[str], wanted: list[str]) -> bool:
    if not wanted:
        return True
    if wanted[0] == "**":
        return any(_match(parts[skipped:], wanted[1:]) for skipped in range(len(parts) + (len(wanted) == 1)))
    if not parts or (parts[0].startswith(".") and not wanted[0].startswith(".")):
        return False  # as in a shell, * is no hidden file
    return fnmatchcase(parts[0], wanted[0]) and _match(parts[1:], wanted[1:])


def _is_made(path: str, pattern: str) -> bool:
    """Whether Python or a build has left `path`, in a folder that `pattern` does not name."""
    top = path.partition("/")[0]
    left = top in ("dist", "build") or top.endswith(".egg-info")
    compiled = "__pycache__" in path.split("/") or path.endswith((".pyc", ".pyo"))
    return compiled or (left and "/" in path and pattern.partition("/")[0] != top)


def _read(folder: Path, path: str) -> artifact.ProjectFile:
    place = folder / path
    if not place.resolve().is_relative_to(folder.resolve()):
        raise PackhorseError(
            f"{_WHERE} {path} is a link out of the project, to {place.resolve()}.",
            "Copy the file into the project: what is released is what its commit has.",
        )
    if not artifact.is_path(path):
        raise PackhorseError(
            f"{_WHERE} {path!r} has a backslash or a control character in its name.", "Rename it."
        )
    if place.stat().st_size > artifact.LARGEST_FILES:
        raise PackhorseError(
            f"{_WHERE} {path} is larger than {artifact.LARGEST_FILES >> 20} MiB.",
            "Put it into $DATA_DIR of the hosts, or into a package of its own.",
        )
    content = place.read_bytes()
    inside = PurePosixPath(place.resolve().relative_to(folder.resolve()))  # where a link leads to
    if _is_secret(PurePosixPath(path), content) or _is_secret(inside, content):
        raise PackhorseError(
            f"{_WHERE} {path} looks like a secret, and everybody who reads the index could read it.",
            "Leave it out of files, and give the value to the target as configuration.",
        )
    return artifact.ProjectFile(content, executable=bool(place.stat().st_mode & 0o100))


def _is_secret(path: PurePosixPath, content: bytes) -> bool:
    if _PRIVATE_KEY.search(content) or ".git" in path.parts:
        return True
    named = _SECRET_NAMES.fullmatch(path.name) and not _HARMLESS_NAMES.fullmatch(path.name)
    return bool(named) and not _PUBLIC.search(content)


def warnings(found: Mapping[str, artifact.ProjectFile]) -> Iterator[str]:
    """Sentences about files that probably should not be in the working directory as they are."""
    for path, file in found.items():
        if _DATABASE.fullmatch(PurePosixPath(path).name):
            yield f"{path} (files in release.toml) cannot be written to: what changes belongs into $DATA_DIR."
        elif PurePosixPath(path).suffix in _SETTINGS and (line := _line_with_secret(file.content)):
            yield (
                f"{path} line {line} seems to hold a secret, which everybody who reads the index could read: "
                "take it from the environment."
            )


def _line_with_secret(content: bytes) -> int | None:
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
        if not line.lstrip().startswith(("#", ";")):
            found = _SECRET_VALUE.search(line) or _PASSWORD_IN_URL.search(line)
            if found and found["value"].lower() not in ("password", "changeme", "secret"):
                return number
    return None
