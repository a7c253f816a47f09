"""Look for new versions of the projects that are in use, by asking the running mirror for their pages."""

import contextlib
import json
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
from packaging.metadata import parse_email
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from mirror import indexes, last_refresh
from mirror.api import Api
from mirror.last_refresh import LastRefresh
from mirror.lockfiles import choice
from mirror.offline import prefetch
from mirror.offline.prefetch import SIMPLE_JSON, DownloadError
from mirror.state import Folder
from packhorse import calendar, filenames, files, metadata_headers
from packhorse.errors import PackhorseError

AT_ONCE = 8  # pages: an upstream is asked for all of them, and nobody waits
TRIES = 5  # while the mirror shows an old page, as the upstream takes its time
STALE = "X-Packhorse-Stale"
FORMAT = 1
Page = Mapping[str, Any]


@dataclass(frozen=True)
class New:
    """A version that a page lists now, and did not at the last look."""

    project: str
    version: str
    since: str | None  # when its first file was uploaded, as the upstream says


@dataclass(frozen=True)
class RefreshReport:
    """The result of a refresh."""

    pages: Mapping[str, Page]  # of projects, as the index shows them now
    new: Sequence[New]
    failed: Mapping[str, str]  # projects that could not be looked for, and why
    gone: Sequence[str]  # projects that the index does not list (any more)


@dataclass(frozen=True)
class Used:
    """The projects that are in use."""

    cached: Collection[
        str
    ]  # of which caches of upstreams have files, or that are looked for for another reason
    own: Mapping[str, str]  # that were uploaded -> an index that has them


def noted(folder: Folder, look: Callable[[], RefreshReport], times: Sequence[str] = ()) -> RefreshReport:
    """The report of `look`; that and its failure are noted for `mirror status` and /+metrics.

    `times`: when a timer starts it (systemd.time(7)); without any, the timer of before still counts.
    """
    before = last_refresh.read(folder.last_refresh)
    due = calendar.next_time(times, time.time()) if times else before.next if before else None
    try:
        found = look()
    except PackhorseError as error:
        _note(folder, LastRefresh(int(time.time()), problem=str(error), next=due))
        raise
    problem = f"{len(found.failed)} projects could not be looked for" if found.failed else ""
    _note(folder, LastRefresh(int(time.time()), len(found.pages), len(found.new), problem, due))
    return found


def _note(folder: Folder, found: LastRefresh) -> None:
    with contextlib.suppress(OSError):  # without a mirror, or on a full disk: the command says what is wrong
        last_refresh.write(folder.last_refresh, found)


def used(folder: Folder, api: Api) -> Used:
    """The projects of the files that are on the disk."""
    cached: set[str] = set()
    own: dict[str, str] = {}
    for user, data in indexes.read(api).items():
        for name, settings in data.get("indexes", {}).items():
            projects = set(_projects(folder.files / user / name))
            if settings["type"] == "mirror":
                cached |= projects
            else:
                own |= dict.fromkeys(projects, f"{user}/{name}")
    return Used(cached, own)


def refresh(
    folder: Folder, index_url: str, client: httpx.Client, used: Used, step: Callable[[], None]
) -> RefreshReport:
    """Ask for the pages of what is used, and of what the uploaded projects depend on.

    What is new is what no call before has seen; the first one sees nothing new.
    """
    pages: dict[str, Page] = {}
    failed: dict[str, str] = {}

    gone: list[str] = []

    def look(urls: Mapping[str, str]) -> None:
        for project, found in zip(urls, pool.map(partial(_page, client), urls.values()), strict=True):
            page, problem = found
            pages.update({project: page} if page is not None else {})
            failed.update({project: problem} if problem else {})
            gone.extend([] if page is not None or problem else [project])
            step()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        root = urljoin(index_url, "/")
        look({project: f"{root}{index}/+simple/{project}/" for project, index in sorted(used.own.items())})
        needed = pool.map(
            partial(_dependencies, client), (_newest_wheel(page, root) for page in pages.values())
        )
        asked = set(used.cached).union(*needed) - set(used.own)
        look({project: f"{index_url}{project}/" for project in sorted(asked)})
    seen = _seen(folder)
    looked = {name: page for name, page in pages.items() if name not in failed}
    new = list(_new(looked, seen))
    # What a page lacks for a while, of a policy or an upstream that is half there, is not new afterwards.
    known = {name: sorted({*seen.get(name, ()), *_versions(page)}) for name, page in looked.items()}
    _remember(folder, {**seen, **known})
    return RefreshReport(pages, new, failed, gone)


def as_json(report: RefreshReport) -> dict[str, Any]:
    """The report for scripts; keys are only ever added."""
    return {
        "projects": len(report.pages),
        "new": [vars(each) for each in report.new],
        "gone": report.gone,
        "failed": dict(report.failed),
    }


def as_lines(report: RefreshReport) -> Iterator[str]:
    """The report for people: new versions, projects that are gone, a count."""
    for each in report.new:
        yield f"new: {each.project} {each.version}" + (f" ({each.since[:10]})" if each.since else "")
    for project in report.gone:
        yield f"not listed: {project}"
    failed = f", {len(report.failed)} could not be looked for" if report.failed else ""
    yield f"{len(report.pages)} projects in use, {len(report.new)} new versions since the last look{failed}"


def _new(pages: Mapping[str, Page], seen: Mapping[str, Sequence[str]]) -> Iterator[New]:
    for project, page in sorted(pages.items()):
        if project in seen:
            for version, of_version in sorted(_versions(page).items(), key=lambda each: Version(each[0])):
                if version not in seen[project]:
                    yield New(project, version, since(of_version))


def since(of_version: Sequence[Mapping[str, Any]]) -> str | None:
    """Upload time of the first file of a version, as the upstream states it."""
    return min((file["upload-time"] for file in of_version if file.get("upload-time")), default=None)


def _versions(page: Page) -> dict[str, list[Mapping[str, Any]]]:
    """The files of each version that a page lists, without yanked ones."""
    versions: dict[str, list[Mapping[str, Any]]] = {}
    for file in page["files"]:
        parsed = filenames.parse(file["filename"])
        if parsed and not choice.is_yanked(file):
            versions.setdefault(str(parsed.version), []).append(file)
    return versions


def _projects(index: Path) -> Iterator[str]:
    """The projects of the files that are below the folder of an index."""
    for path in index.glob("+[ef]/**/*"):
        if (parsed := filenames.parse(path.name)) and path.is_file():
            yield parsed.project


def _page(client: httpx.Client, url: str) -> tuple[Page | None, str]:
    """The page as it is now, or an old one, and what went wrong; neither for a project that is gone."""
    page: Page | None = None
    try:
        for _ in range(TRIES):
            with prefetch.get(client, url, {"Accept": SIMPLE_JSON}) as answer:
                page = json.loads(answer.read())
                if STALE not in answer.headers:
                    return page, ""
    except (DownloadError, httpx.HTTPError, ValueError) as error:
        is_gone = isinstance(error, DownloadError) and error.status == 404
        return page, "" if is_gone else str(error) or type(error).__name__
    return page, "the upstream does not answer; what is known of it is old"


def _newest_wheel(page: Page, root: str) -> str:
    """The URL of the newest wheel on a page, "" without one."""
    wheels = {
        parsed.version: file
        for file in page["files"]
        if file.get("core-metadata") and (parsed := filenames.parse(file["filename"]))
    }
    # Relative to the page: ../../../../user/index/+f/…, which is the same at any depth below the root.
    return urljoin(root, wheels[max(wheels)]["url"]).partition("#")[0] if wheels else ""


def _dependencies(client: httpx.Client, wheel_url: str) -> set[str]:
    """The projects that a wheel asks for."""
    if not wheel_url:
        return set()
    with (
        contextlib.suppress(DownloadError, httpx.HTTPError),
        prefetch.get(client, f"{wheel_url}.metadata", {}) as answer,
    ):
        return required(answer.read())
    return set()


def required(metadata: bytes) -> set[str]:
    """The projects that METADATA ask for."""
    headers = metadata_headers.split(metadata).headers
    return set(_names(parse_email(headers)[0].get("requires_dist", [])))


def _names(requirements: Sequence[str]) -> Iterator[str]:
    for text in requirements:
        with contextlib.suppress(InvalidRequirement):
            requirement = Requirement(text)
            if re.fullmatch(r"[A-Za-z0-9._-]{1,255}", requirement.name) and not requirement.url:
                yield canonicalize_name(requirement.name)


def _record(folder: Folder) -> Path:
    return folder.root / "refresh.json"


def _seen(folder: Folder) -> dict[str, list[str]]:
    """The versions of each project at the last look."""
    try:
        data = json.loads(_record(folder).read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError:
        data = {}
    if data.get("format") != FORMAT:
        raise PackhorseError(f"{_record(folder)} is damaged.", "Remove it: the next refresh makes it anew.")
    return dict(data["projects"])


def _remember(folder: Folder, versions: Mapping[str, Sequence[str]]) -> None:
    data = {"format": FORMAT, "projects": versions}
    # Readable for all, in a folder that is not: the mirror's user reads it after root has looked.
    files.write_whole(_record(folder), json.dumps(data, sort_keys=True).encode() + b"\n")
