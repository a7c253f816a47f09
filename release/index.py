"""Client of the company index: the files that it lists for a project (PEP 503, PEP 691)."""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

from packaging.utils import canonicalize_name

from packhorse.errors import PackhorseError
from release.config import release_toml

JSON = "application/vnd.pypi.simple.v1+json"
TIMEOUT = 60.0  # seconds without a byte: a cold page comes from the upstream


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


@dataclass(frozen=True)
class Response:
    """Answer of a server, after redirects: an HTTP status of any kind, and the whole body."""

    url: str
    status: int
    reason: str = ""
    content_type: str = ""
    body: bytes = b""


Get = Callable[[str, str], Response]
"""GET the URL, asking for the content type. Raises OSError, HTTPException. Tests pass a fake."""


def get(url: str, accept: str) -> Response:
    """Over the network, as `Get` says.

    urllib and not requests: it trusts the certificates that this machine trusts, a company's own
    among them, and is loaded 0.1 s sooner, which is a tenth of a deploy.
    """
    request = urllib.request.Request(url, headers={"Accept": accept})  # noqa: S310 (config lets http and https in)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310 (as above)
            content_type = answer.headers.get_content_type()
            return Response(answer.url, answer.status, answer.reason, content_type, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Response(error.url or url, error.code, str(error.reason))


def files(index: str, project: str, get: Get) -> list[File]:
    """Every file that `index` (https://host/user/name) shows for `project`, [] when it knows no such project.

    devpi shows an upstream project of the same name until the first upload: such files are not
    `own`. Raises PackhorseError when the index cannot be reached, does not exist or does not speak JSON.
    """
    page = _ask(f"{release_toml.simple_url(index)}{canonicalize_name(project)}/", index, get)
    if page.status == 404:
        require(index, get)
        return []
    if page.status != 200:
        raise _answered(index, page)
    if page.content_type != JSON:
        raise PackhorseError(
            f"{page.url} does not speak JSON (PEP 691), it answered {page.content_type}.",
            f"Check that {index} is an index of devpi, such as https://pypi.example.com/company/dev.",
        )
    return [_file(entry, index, page.url) for entry in json.loads(page.body)["files"]]


def missing(index: str, project: str, digests: Mapping[str, str], get: Get) -> set[str]:
    """Names of the files `digests` (filename -> sha256) that do not lie on `index` itself yet.

    Raises PackhorseError when one lies there with other content.
    """
    there = {file.filename: file.sha256 for file in files(index, project, get) if file.own}
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


def require(index: str, get: Get) -> None:
    """Make sure that `index` is there before long work starts. Raises PackhorseError when it is not."""
    # no_projects: devpi would list every project of the index, in time that grows with it.
    answer = _ask(f"{index}?no_projects=", index, get, accept="application/json")
    if answer.status == 404:
        raise PackhorseError(
            f"There is no index {index}.",
            "Check index in release.toml, --index and $RELEASE_INDEX; `mirror init` makes company/dev.",
        )
    if answer.status != 200:
        raise _answered(index, answer)


def _ask(url: str, index: str, get: Get, accept: str = JSON) -> Response:
    try:
        return get(url, accept)
    except (OSError, http.client.HTTPException) as error:
        raise PackhorseError(
            f"The index {index} cannot be reached: {_reason(error)}",
            "Start it (`mirror serve` for the mirror of this machine), or correct index in release.toml.",
        ) from error


def _answered(index: str, answer: Response) -> PackhorseError:
    return PackhorseError(
        f"The index {index} answered {answer.status} {answer.reason} at {answer.url}.",
        "Look at the log of the index; when its upstream is at fault, try again in a moment.",
    )


def _reason(error: BaseException) -> str:
    """The cause in words ("Connection refused"), without the layer of urllib around it."""
    cause = getattr(error, "reason", error)
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
