"""Promote a version: let devpi push its files, the same bytes, from one index of the company to another."""

import hashlib
import http.client
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from packaging import pylock
from packaging.utils import canonicalize_version
from packaging.version import Version

from packhorse.errors import PackhorseError
from release import index
from release.credentials import Credentials
from release.deploy import requests
from release.deploy.requests import Requirement
from release.host.formats import artifact, origin
from release.host.install import verification
from release.upload.twine import Uploaded

Post = Callable[[str, Mapping[str, str], bytes], index.Response]
"""POST a body with headers to the URL. Raises OSError, HTTPException. Tests pass a fake."""
AT_ONCE = 8  # pages of dependencies that are asked for side by side


@dataclass(frozen=True)
class Way:
    """From which index to which, by their URLs, and how they are asked.

    `login` is called when there is something to push; one of `signers`, if there are any, has to have signed.
    """

    source: str
    target: str
    login: Callable[[], Credentials]
    get: index.Get
    post: Post
    signers: Sequence[str] = ()

    @property
    def options(self) -> str:
        """The options of `release promote` that name it."""
        return f"--from {index.short(self.source)} --to {index.short(self.target)}"


@dataclass(frozen=True)
class Promoted:
    """A version that is on the target now, and its files."""

    project: str
    version: str
    files: list[Uploaded]


def promote(wanted: Requirement, way: Way) -> Promoted:
    """Bring all files of the version `wanted` (None: the newest) to the target; nothing, if it has them.

    Raises PackhorseError, before anything is pushed, when the target has another file of that name, when the
    version is withdrawn, or when it needs what only the source has.
    """
    _require_ways(way)
    version, files = _choose(wanted, way)
    there = _own(way.target, wanted.project, version, way)
    missing = _missing(files, there, way)
    names = {file.filename for file in files} - missing
    missing |= {file.filename for file in there if file.filename in names and _is_lost(file, way)}
    if missing:
        _require_not_withdrawn(wanted.project, version, [*files, *there])
        _check(wanted.project, files, way)
        _require_same(files, _own(way.source, wanted.project, version, way), way.source)
        answers = _push(wanted.project, version, way)
        before, there = there, _own(way.target, wanted.project, version, way)
        left = _missing(files, there, way)
        if left:
            raise _refused(answers, sorted(left), way)
        _require_same([*files, *before], there, way.target)
        for file in there:
            if file.filename in missing:
                _read(file, way)
    done = [Uploaded(file.filename, str(file.sha256), file.filename in missing) for file in files]
    return Promoted(wanted.project, str(version), done)


def _require_ways(way: Way) -> None:
    """Raise PackhorseError unless both are indexes of uploads on one devpi, and not the same."""
    if index.server(way.source) != index.server(way.target):
        raise PackhorseError(
            f"{way.source} and {way.target} are not on one server, so it cannot push from one to the other.",
            "Name both as USER/INDEX; to another server: release upload --index URL",
        )
    if way.source == way.target:
        raise PackhorseError(f"{way.source} is both.", "Name another index with --to, such as company/prod.")
    for url in (way.source, way.target):
        index.require(url, way.get)
        kind = index.config(url, way.get).get("type")
        if kind != "stage":  # what an upstream has anybody may have made
            raise PackhorseError(
                f"{url} is an index of type {kind}, and not one for uploads of the company."
                if kind
                else f"{url} is no index of devpi, which could push.",
                "Name an index of the company, such as company/dev: `mirror status` lists them.",
            )


def _choose(wanted: Requirement, way: Way) -> tuple[Version, list[index.ListedFile]]:
    """The version to promote and its files on the source itself."""
    found = requests.versions(
        (file for file in index.files(way.source, wanted.project, way.get) if file.own), wanted.project
    )
    version = wanted.version or requests.newest(found)
    if version is None or version not in found:
        there = requests.versions(
            (file for file in index.files(way.target, wanted.project, way.get) if file.own), wanted.project
        )
        if (
            version is not None and version in there
        ):  # it was deleted on the source, which inherits from the target
            return version, there[version]
        known = ", ".join(map(str, sorted(found, reverse=True)[:5])) or "no version at all"
        what = f"{wanted.project}=={version}" if version else wanted.project
        raise PackhorseError(
            f"{way.source} has no {what} of its own; it has {known}.",
            "Upload it there first: release build, then release upload",
        )
    return version, found[version]


def _own(url: str, project: str, version: Version, way: Way) -> list[index.ListedFile]:
    """The files of `version` that lie on the index `url` itself."""
    own = [file for file in index.files(url, project, way.get) if file.own]
    return requests.versions(own, project).get(version, [])


def _missing(files: Sequence[index.ListedFile], there: Sequence[index.ListedFile], way: Way) -> set[str]:
    """Names of those `files` that are not `there` yet. Raises PackhorseError for one with other content."""
    known = {file.filename: file.sha256 for file in there}
    for file in files:
        if known.get(file.filename, file.sha256) != file.sha256:
            raise PackhorseError(
                f"{way.target} has {file.filename} with other content than {way.source}.",
                "Find out who uploaded it, then promote another version: what was released never changes.",
            )
    return {file.filename for file in files} - known.keys()


def _is_lost(file: index.ListedFile, way: Way) -> bool:
    """Whether the index lists `file` and lacks it, as `mirror check --repair` puts damaged ones aside."""
    return _fetch(file, way).status == 404


def _require_same(checked: Sequence[index.ListedFile], there: Sequence[index.ListedFile], url: str) -> None:
    """Raise PackhorseError for files that have come since the others were `checked`: devpi pushes all."""
    known = {file.filename for file in checked}
    if new := [file.filename for file in there if file.filename not in known]:
        raise PackhorseError(
            f"{', '.join(sorted(new))} came to {url} meanwhile, and was not checked.",
            "Look at who uploaded it; if it is right, run the command again.",
        )


def _require_not_withdrawn(project: str, version: Version, files: Sequence[index.ListedFile]) -> None:
    yanked = [file for file in files if file.yanked]
    if yanked:
        where = str(yanked[0].index)
        raise PackhorseError(
            f"{project} {version} is withdrawn (yanked) on {where}: it is not promoted.",
            "Promote another version, or take that back on the mirror: "
            f"mirror unyank {project}=={version} --index {index.short(where)}",
        )


def _check(project: str, files: Sequence[index.ListedFile], way: Way) -> None:
    """Check the files on the source: hashes, signatures, and that the target has what they need."""
    needed: dict[str, pylock.Package] = {}
    with tempfile.TemporaryDirectory(prefix="packhorse-promote-") as folder:
        for file in files:
            path = Path(folder, file.filename)
            path.write_bytes(_read(file, way))
            if way.signers:
                verification.verify(path, way.signers)
            needed |= {package.name: package for package in _locked(path)}
    left = _left_behind(needed, way)
    if left:
        first = f"release promote {left[0]} {way.options}"
        raise PackhorseError(
            f"{project} needs {', '.join(left)}, which {way.target} lacks: deploys from there would fail.",
            f"Promote what it needs first: {first}",
        )


def _read(file: index.ListedFile, way: Way) -> bytes:
    """The bytes of `file`. Raises PackhorseError when they are not those that its page lists."""
    answer = _fetch(file, way)
    if answer.status != 200 or hashlib.sha256(answer.body).hexdigest() != file.sha256:
        raise PackhorseError(
            f"{file.url} answered {answer.status}, and not with the file that the index lists.",
            "Look at the log of the index; nothing of it is deployed while it is not right.",
        )
    return answer.body


def _fetch(file: index.ListedFile, way: Way) -> index.Response:
    try:
        return way.get(file.url, "*/*")
    except (OSError, http.client.HTTPException) as error:
        raise PackhorseError(
            f"{file.url} cannot be read: {index.reason(error)}",
            "Run the command again when the index answers.",
        ) from error


def _locked(path: Path) -> list[pylock.Package]:
    """Packages in the lock of an artifact; none for a library, and for what other tools have built.

    Raises PackhorseError for an application that could not be deployed.
    """
    try:
        has_lock = artifact.manifest(path).lock_sha256
    except PackhorseError:
        return []
    return list(artifact.read(path).lock.packages) if has_lock else []


def _left_behind(needed: Mapping[str, pylock.Package], way: Way) -> list[str]:
    """NAME==VERSION of the packages of the company's that only the source has."""
    stages = set(index.stages(way.source, way.get))

    def is_left(package: pylock.Package) -> bool:
        locked = {str(wheel.hashes.get("sha256")) for wheel in package.wheels or []}
        shown = index.files(way.source, package.name, way.get) if locked else []
        own = {file.sha256 for file in shown if file.index in stages} & locked
        return bool(own) and not own & {
            file.sha256 for file in index.files(way.target, package.name, way.get)
        }

    with ThreadPoolExecutor(AT_ONCE) as pool:
        packages = list(needed.values())
        left = list(pool.map(is_left, packages))
    return [
        f"{package.name}=={package.version}" for package, is_it in zip(packages, left, strict=True) if is_it
    ]


def _push(project: str, version: Version, way: Way) -> list[index.Response]:
    """Let devpi push `version`, as whatever it is written there (1.0 and 1.0.0 are one version)."""
    login = way.login()
    headers = {
        "Authorization": origin.basic(login.username, login.password),
        "Content-Type": "application/json",
        "Accept": "application/json",
    }
    answers = []
    for spelling in _spellings(project, version, way):
        body = {"name": project, "version": spelling, "targetindex": index.short(way.target)}
        try:
            answer = way.post(f"{way.source}/", headers, json.dumps(body).encode())
        except (OSError, http.client.HTTPException) as error:
            raise PackhorseError(
                f"{way.source} did not answer the push: {index.reason(error)}",
                "It may have been done all the same: run the command again.",
            ) from error
        if answer.status in (401, 403):
            raise _not_allowed(answer, login, way)
        answers.append(answer)
    return answers


def _spellings(project: str, version: Version, way: Way) -> list[str]:
    """`version` as its uploads to the source have written it."""
    url = f"{way.source}/{project}?ignore_bases="
    try:
        answer = way.get(url, "application/json")
        written = [str(each) for each in json.loads(answer.body)["result"]]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
        raise PackhorseError(
            f"{url} does not say how {project} {version} is written there.",
            "Look at the log of the index; it has to be devpi.",
        ) from error
    return sorted(each for each in written if canonicalize_version(each) == canonicalize_version(version))


def _not_allowed(answer: index.Response, login: Credentials, way: Way) -> PackhorseError:
    if "cannot upload" in _message(answer):
        return PackhorseError(
            f"{login.holder} may not upload to {way.target}.", login.way_to_be_let_in("Promote")
        )
    return PackhorseError(
        f"{way.source} refuses the password of {login.username}.",
        f"Correct it: release login --index {way.target}, or TWINE_PASSWORD.",
    )


def _refused(answers: Sequence[index.Response], left: Sequence[str], way: Way) -> PackhorseError:
    said = "; ".join(f"{answer.status} {_message(answer)}".strip() for answer in answers) or "nothing"
    return PackhorseError(
        f"{way.target} lacks {', '.join(left)} after the push, to which the server said: {said}.",
        "Run the command again; if that says the same, look at the log of the index.",
    )


def _message(answer: index.Response) -> str:
    try:
        return str(json.loads(answer.body).get("message", ""))[:300]
    except (ValueError, AttributeError):
        return answer.reason
