"""Client of the company index: the files that it lists for a project (PEP 503, PEP 691)."""

import hashlib
import http.client
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from email.message import Message
from typing import IO, Any
from urllib.parse import urljoin

from packaging.utils import canonicalize_name

from packhorse.errors import PackhorseError
from release.config import company_index
from release.host.formats import origin

JSON = "application/vnd.pypi.simple.v1+json"
TIMEOUT = 60.0  # seconds without a byte: a cold page comes from the upstream


@dataclass(frozen=True)
class ListedFile:
    """A file that an index lists; `index` is the URL of the one on which it lies, None: nobody knows.

    `own`: that is the index that was asked, not one that it inherits from. `company`: that is an index of the
    company's uploads, see `company_files`; `differs` is then the URL of another one with other content under
    this name. `yanked`: its owner took it back (PEP 592); only who names its version still gets it.
    """

    filename: str
    url: str
    sha256: str | None
    index: str | None
    own: bool
    yanked: bool = False
    company: bool = False
    differs: str | None = None


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


Ask = Callable[[str, Mapping[str, str]], Response]
"""GET the URL with headers. Raises OSError, HTTPException. Tests pass a fake."""


def get(url: str, accept: str, timeout: float = TIMEOUT, token: str | None = None) -> Response:
    """Over the network, as `Get` says; `timeout` is in seconds without a byte. No redirect takes the `token`.

    urllib and not requests: it trusts the certificates that this machine trusts, a company's own
    among them, and is loaded 0.1 s sooner, which is a tenth of a deploy.
    """
    request = urllib.request.Request(url, headers={"Accept": accept})  # noqa: S310 (config lets http and https in)
    if token:
        request.add_unredirected_header("Authorization", origin.of_token(token))
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310 (as above)
            content_type = answer.headers.get_content_type()
            return Response(answer.url, answer.status, answer.reason, content_type, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Response(error.url or url, error.code, str(error.reason))


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer: urllib would send the password on, to any host."""

    def redirect_request(
        self,
        _request: urllib.request.Request,
        _file: IO[bytes],
        _code: int,
        _text: str,
        _head: Message,
        _url: str,
    ) -> None:
        """Follow none."""


def ask(
    url: str, headers: Mapping[str, str], body: bytes | None = None, timeout: float = TIMEOUT
) -> Response:
    """Over the network, as `Ask` says, and without redirects; with a `body`, POST it."""
    request = urllib.request.Request(url, body, dict(headers))  # noqa: S310 (config lets http and https in)
    try:
        with urllib.request.build_opener(_NoRedirects).open(request, timeout=timeout) as answer:
            return Response(answer.url, answer.status, body=answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Response(url, error.code, str(error.reason), body=error.read())


def files(index: str, project: str, get: Get) -> list[ListedFile]:
    """Every file that `index` (https://host/user/name) shows for `project`, [] when it knows no such project.

    devpi shows an upstream project of the same name until the first upload: such files are not `own`. Raises
    PackhorseError when the index cannot be reached, does not exist or does not speak JSON.
    """
    page = _ask(f"{company_index.simple_url(index)}{canonicalize_name(project)}/", index, get)
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


def download(index: str, project: str, sha256: str, get: Get) -> bytes:
    """The file of `project` with this hash, as `index` lists it. Raises PackhorseError."""
    found = [file for file in files(index, project, get) if file.sha256 == sha256]
    answer = get(found[0].url, "*/*") if found else None
    if answer is None or answer.status != 200 or hashlib.sha256(answer.body).hexdigest() != sha256:
        raise PackhorseError(
            f"{index} does not deliver the file of {project} with sha256 {sha256}.",
            "Look at the log of the index; if the file is gone there, renew what names it: release lock",
        )
    return answer.body


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


def company_files(index: str, project: str, get: Get, *, private: bool = False) -> list[ListedFile]:
    """`files`, with those marked as `company` that lie on an index of the company's uploads.

    devpi says what each index is: a "stage" for uploads, or a "mirror" of an upstream, where a stranger may
    have registered any name. The stages are `index` and what it inherits from. With `private` an index that
    does not say it counts as the company's, with all that it lists; else it is a PackhorseError.
    """
    shown = files(index, project, get)
    found = stages(index, get)
    if not found and private:
        return [replace(file, index=index, company=True) for file in shown]
    if not found:
        raise PackhorseError(
            f"{index} does not say which files are the company's own, and which an upstream's.",
            "Use an index of devpi; if only you can bring files there: index_is_private in release.toml.",
        )
    ours = {file.filename: file for file in shown if file.index in found}
    differs = {
        file.filename: base
        for base in (found[1:] if ours else ())
        for file in files(base, project, get)
        if file.own and file.filename in ours and file.sha256 != ours[file.filename].sha256
    }
    return [replace(file, company=file.index in found, differs=differs.get(file.filename)) for file in shown]


def stages(index: str, get: Get) -> list[str]:
    """URLs of the indexes for uploads: `index`, then those that it inherits from; none when it says nothing.

    Raises PackhorseError when `index` itself is something else.
    """
    found: dict[str, bool] = {}
    waiting = [index]
    while waiting:
        url = waiting.pop(0)
        if url in found:
            continue
        settings = config(url, get)
        found[url] = settings.get("type") == "stage"
        if found[url]:
            waiting += [f"{server(url)}/{base}" for base in settings.get("bases", ())]
        elif url == index and settings:
            raise PackhorseError(
                f"{index} is an index of type {settings['type']}: anybody may have made what it shows.",
                "Deploy from the index that you upload to: index in release.toml, --index or $RELEASE_INDEX.",
            )
    return [url for url, is_stage in found.items() if is_stage]


def config(index: str, get: Get) -> dict[str, Any]:
    """devpi's configuration of `index`; {} from a server that is no devpi."""
    answer = _ask(f"{index}?no_projects=", index, get, accept="application/json")
    try:
        found = json.loads(answer.body)["result"]
        return {"type": str(found["type"]), "bases": [str(base) for base in found.get("bases", ())]}
    except (ValueError, KeyError, TypeError):
        return {}


def _file(entry: dict[str, Any], index: str, page: str) -> ListedFile:
    url = urljoin(page, entry["url"])
    where = _index_of(url, index, page)
    yanked = entry.get("yanked", False) is not False  # a reason instead of true, even an empty one
    return ListedFile(entry["filename"], url, entry["hashes"].get("sha256"), where, where == index, yanked)


def _index_of(url: str, index: str, page: str) -> str | None:
    """The index on which the file at `url` lies: below the index's path, in devpi's +f (with hash) or +e.

    `page` is the URL of the page of `index` that lists it, after redirects: https instead of http, perhaps.
    """
    root = page.partition("/+simple/")[0].rsplit("/", 2)[0]
    where = re.fullmatch(rf"{re.escape(root)}/([^/]+/[^/]+)/\+[fe]/.+", url)
    return f"{server(index)}/{where[1]}" if where else None


def short(index: str) -> str:
    """`USER/INDEX` of the URL of an index of devpi."""
    return "/".join(index.rsplit("/", 2)[1:])


def server(index: str) -> str:
    """URL of the devpi on which `index` lies."""
    return index.rsplit("/", 2)[0]


def require(index: str, get: Get) -> None:
    """Make sure that `index` is there before long work starts. Raises PackhorseError when it is not."""
    # no_projects: devpi would list every project of the index, in time that grows with it.
    answer = _ask(f"{index}?no_projects=", index, get, accept="application/json")
    if answer.status == 404:
        raise PackhorseError(
            f"There is no index {index}.",
            "Check index in release.toml, --index and $RELEASE_INDEX; `mirror init` makes company/dev "
            "and company/prod.",
        )
    if answer.status != 200:
        raise _answered(index, answer)


def _ask(url: str, index: str, get: Get, accept: str = JSON) -> Response:
    try:
        return get(url, accept)
    except (OSError, http.client.HTTPException) as error:
        raise PackhorseError(
            f"The index {index} cannot be reached: {reason(error)}",
            "Start it (`mirror serve` for the mirror of this machine), or correct index in release.toml.",
        ) from error


def _answered(index: str, answer: Response) -> PackhorseError:
    if answer.status in (401, 403):
        return PackhorseError(
            f"The index {index} is not for everybody: {answer.url} answered {answer.status} {answer.reason}.",
            "Log in as who may read it: release login; who may, `read` in the mirror's mirror.toml says.",
        )
    return PackhorseError(
        f"The index {index} answered {answer.status} {answer.reason} at {answer.url}.",
        "Look at the log of the index; when its upstream is at fault, try again in a moment.",
    )


def reason(error: BaseException) -> str:
    """The cause in words ("Connection refused"), without the layer of urllib around it."""
    cause = getattr(error, "reason", error)
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
