"""Build requirements of sdists (PEP 518), read from their pyproject.toml; nothing of them is run."""

import tarfile
import tomllib
import zipfile
import zlib
from pathlib import Path
from typing import IO

from packaging.requirements import InvalidRequirement

from mirror.lockfiles import lock
from packhorse import sdists, urls

LARGEST = 1_000_000
"""Bytes of a pyproject.toml that is read."""
_DEFAULT = ["setuptools>=40.8.0"]  # what pip and uv take when pyproject.toml says nothing


def read(sdist: Path) -> tuple[str, ...]:
    """The build requirements of `sdist`. Raises ValueError when they cannot be read, or name other places."""
    try:
        text = _zipped(sdist) if sdist.suffix == ".zip" else _tarred(sdist)
        requires = tomllib.loads(text.decode("utf-8")).get("build-system", {}).get("requires", _DEFAULT)
        found = [lock.parse(each) for each in list.copy(requires)]  # a text has elements, too
    except (OSError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile) as error:
        raise ValueError(f"its pyproject.toml cannot be read: {error}") from error
    except (AttributeError, TypeError, RecursionError, InvalidRequirement) as error:
        raise ValueError(f"its pyproject.toml has no list of build requirements: {error}") from error
    # A line that is no requirement by name could give uv options, or lead it elsewhere.
    if elsewhere := [each for each in found if each.url]:
        url = urls.without_logins(str(elsewhere[0].url))
        raise ValueError(f"its build requirement {elsewhere[0].name} comes from {url}")
    return tuple(str(each) for each in found)


def _tarred(sdist: Path) -> bytes:
    files = sdists.members(sdist)
    return next((_whole(content) for member, content in files if _is_wanted(member.name)), b"")


def _zipped(sdist: Path) -> bytes:
    with zipfile.ZipFile(sdist) as archive:
        for name in archive.namelist():
            if _is_wanted(name):
                with archive.open(name) as content:
                    return _whole(content)
    return b""


def _is_wanted(name: str) -> bool:
    """Whether it is the pyproject.toml of the folder at the top."""
    return name.removeprefix("./").count("/") == 1 and name.endswith("/pyproject.toml")


def _whole(content: IO[bytes]) -> bytes:
    text = content.read(LARGEST + 1)
    if len(text) > LARGEST:
        raise ValueError("its pyproject.toml has more than a megabyte")
    return text
