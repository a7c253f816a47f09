"""A project's name in, the files that the company index shows for it out (PEP 503, PEP 691)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urljoin

from packaging.utils import canonicalize_name

from packhorse.errors import PackhorseError
from release import config

if TYPE_CHECKING:
    import requests

JSON = "application/vnd.pypi.simple.v1+json"
TIMEOUT = (5.0, 60.0)  # seconds to connect, and to wait for a byte: a cold page comes from the upstream


@dataclass(frozen=True)
class File:
    """A file on an index; `own`: it lies on the index itself, not on one that it inherits from.

    `yanked`: its owner took it back (PEP 592); only who names its version still gets it.
    """

    filename: str
    url: str
    sha256: str | None
    own: bool
    yanked: bool = False


class Session(Protocol):
    """The part of requests.Session that is used here."""

    def get(
        self, url: str, *, headers: Mapping[str, str], timeout: tuple[float, float]
    ) -> "requests.Response":
        """GET `url`."""


def files(index: str, project: str, session: Session) -> list[File]:
    """Every file that `index` (https://host/user/name) shows for `project`, [] when it knows no such project.

    devpi shows an upstream project of the same name until the first upload: such files are not
    `own`. Raises PackhorseError when the index cannot be reached, does not exist or does not speak JSON.
    """
    page = _get(f"{config.simple_url(index)}{canonicalize_name(project)}/", index, session)
    if page.status_code == 404:
        require(index, session)
        return []
    if not page.ok:
        raise _answered(index, page)
    if page.headers.get("content-type", "").partition(";")[0] != JSON:
        raise PackhorseError(
            f"{page.url} does not speak JSON (PEP 691), it answered {page.headers.get('content-type')}.",
            f"Check that {index} is an index of devpi, such as https://pypi.example.com/company/dev.",
        )
    return [_file(entry, index, page.url) for entry in page.json()["files"]]


def missing(index: str, project: str, digests: Mapping[str, str], session: Session) -> set[str]:
    """Which of the files `digests` (filename -> sha256) do not lie on `index` itself yet.

    Raises PackhorseError when one lies there with other content.
    """
    there = {file.filename: file.sha256 for file in files(index, project, session) if file.own}
    for filename, sha256 in digests.items():
        if there.get(filename, sha256) != sha256:
            raise PackhorseError(
                f"{index} already has {filename} with other content.",
                "Raise the version in pyproject.toml: what was uploaded never changes.",
            )
    return digests.keys() - there.keys()


def _file(entry: dict[str, Any], index: str, page: str) -> File:
    url = urljoin(page, entry["url"])
    # devpi keeps the files of an index below its own path, in +f (with hash) or +e (without).
    own = url.startswith((f"{index}/+f/", f"{index}/+e/"))
    yanked = entry.get("yanked", False) is not False  # a reason instead of true, even an empty one
    return File(entry["filename"], url, entry["hashes"].get("sha256"), own, yanked)


def require(index: str, session: Session) -> None:
    """Make sure that `index` is there before long work starts. Raises PackhorseError when it is not."""
    # no_projects: devpi would list every project of the index, in time that grows with it.
    answer = _get(f"{index}?no_projects=", index, session, accept="application/json")
    if answer.status_code == 404:
        raise PackhorseError(
            f"There is no index {index}.",
            "Check index in release.toml, --index and $RELEASE_INDEX; `mirror init` makes company/dev.",
        )
    if not answer.ok:
        raise _answered(index, answer)


def _get(url: str, index: str, session: Session, accept: str = JSON) -> "requests.Response":
    import requests

    try:
        return session.get(url, headers={"Accept": accept}, timeout=TIMEOUT)
    except requests.RequestException as error:
        raise PackhorseError(
            f"The index {index} cannot be reached: {_reason(error)}",
            "Start it (`mirror serve` for the mirror of this machine), or correct index in release.toml.",
        ) from error


def _answered(index: str, answer: "requests.Response") -> PackhorseError:
    return PackhorseError(
        f"The index {index} answered {answer.status_code} {answer.reason} at {answer.url}.",
        "Look at the log of the index; when its upstream is the trouble, try again in a moment.",
    )


def _reason(error: BaseException) -> str:
    """The cause at the bottom ("Connection refused"), without the layers of urllib3 around it."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return getattr(error, "strerror", None) or str(error)
