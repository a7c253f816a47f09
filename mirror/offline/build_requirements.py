"""Build requirements of sdists (PEP 518), read from their pyproject.toml; nothing of them is run."""

import tarfile
import zipfile
import zlib
from pathlib import Path

from packaging.requirements import InvalidRequirement

from mirror.lockfiles import lock
from packhorse import sdists, toml, urls, zips

_DEFAULT = ["setuptools>=40.8.0"]  # what pip and uv take when pyproject.toml says nothing


def read(sdist: Path) -> tuple[str, ...]:
    """The build requirements of `sdist`. Raises ValueError when they cannot be read, or name other places."""
    try:
        text = _zipped(sdist) if sdist.suffix == ".zip" else sdists.pyproject(sdist)
        requires = toml.parse(text.decode("utf-8")).get("build-system", {}).get("requires", _DEFAULT)
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


def _zipped(sdist: Path) -> bytes:
    with zipfile.ZipFile(sdist) as archive:
        for member in archive.infolist():
            if sdists.is_pyproject(member.filename):
                with zips.open_member(archive, member) as content:
                    return sdists.read_pyproject(content)
    return b""
