"""Load a bundle into the running mirror: own packages are uploaded, others go into the upstream's cache."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, urlencode

import httpx

from mirror import api
from mirror.config import UPSTREAM_INDEX
from mirror.offline.bundle import disk, listing
from mirror.offline.bundle.listing import FILES, File, Listing
from mirror.packages import yank
from mirror.serving import running
from mirror.state import Folder
from packhorse import process, quantities
from packhorse.errors import PackhorseError

AT_ONCE = 4
SILENCE = 300  # seconds, in which the mirror hashes and syncs a large file
NEW, HERE, REFUSED = "new", "here", "refused"  # as mirror/plugin/admin/bundle_views.py says it


@dataclass(frozen=True)
class Loaded:
    """The outcome for one file of a bundle."""

    file: File
    state: str  # NEW, HERE or REFUSED
    reason: str = ""
    index: str = UPSTREAM_INDEX  # where it is


def load(folder: Path, target: "Target", fingerprint: str | None, step: Callable[[], None]) -> list[Loaded]:
    """Load the bundle in `folder`; what became of each file. May be repeated after anything.

    Nothing in it is believed: see `disk.read`; a file that is not the listed one is refused. `fingerprint`
    is what the maker of the bundle was told. Raises PackhorseError before anything was loaded, or when the
    mirror does not answer.
    """
    if fingerprint and disk.fingerprint(folder) != fingerprint.lower():
        raise PackhorseError(
            f"{folder} is not the bundle with this fingerprint: {disk.fingerprint(folder)}.",
            "It was changed on the way, or it is another one: compare with what `mirror bundle` printed.",
        )
    listed = disk.read(folder)
    if not target.takes_uploads and any(file.own for file in listed.files):
        raise PackhorseError(
            f"{folder} has packages of your own, and {target.index} is no index of uploads.",
            "Name one with --index; `mirror status` lists the indexes.",
        )
    if unknown := target.accepted - {file.filename for file in listed.files if not file.own}:
        raise PackhorseError(
            f"--accept-changed: {folder} has no file {min(unknown)} of an upstream.",
            f"Give the name of a file in {folder / FILES}, without its folder.",
        )
    found: list[Loaded] = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        # Own ones first: that reserves their names, before something of an upstream could come under them.
        for own in (True, False):
            names = [name for name, files in listed.projects.items() if own in {file.own for file in files}]
            for outcomes in pool.map(partial(_load, own, listed, folder, target), names):
                for outcome in outcomes:
                    found.append(outcome)
                    step()
    return found


def summary(folder: Path, found: Sequence[Loaded]) -> str:
    """A sentence that counts the files. Raises PackhorseError that names every refused one."""
    new, here, refused = (
        [each.file for each in found if each.state == kind] for kind in (NEW, HERE, REFUSED)
    )
    sentence = (
        f"{folder}: {len(found)} files, {len(new)} new ({quantities.shown(sum(file.size for file in new))}),"
        f" {len(here)} there already"
    )
    if not refused:
        return sentence
    raise PackhorseError(
        f"{sentence}, {len(refused)} refused.",
        "The lines above say why. The others are loaded, and stay.",
        detail="\n".join(f"{each.file.filename}: {each.reason}" for each in found if each.state == REFUSED),
    )


def as_json(found: Sequence[Loaded]) -> dict[str, Any]:
    """The same for scripts."""
    kinds = {kind: [each for each in found if each.state == kind] for kind in (NEW, HERE, REFUSED)}
    return {
        "files": [
            {
                "filename": each.file.filename,
                "project": each.file.project,
                "size": each.file.size,
                "own": each.file.own,
                "index": each.index,
                "state": each.state,
                "reason": each.reason,
            }
            for each in found
        ],
        **{kind: len(of_kind) for kind, of_kind in kinds.items()},
        "new_bytes": sum(each.file.size for each in kinds[NEW]),
    }


def _load(own: bool, listed: Listing, folder: Path, target: "Target", project: str) -> list[Loaded]:  # noqa: FBT001
    """Load the own files of a project, or the others."""
    files = [file for file in listed.projects[project] if file.own is own]
    damaged = {file: problem for file in files if (problem := disk.problem(folder, file))}
    if not own:  # before the page, which then says that it is here
        unread = [file for file in files if file not in damaged]
        damaged |= {file: problem for file in unread if (problem := target.store_provenance(folder, file))}
    whole = [file for file in files if file not in damaged]
    page = listing.page(project, whole, listed.statuses.get(project, {}))
    states = target.offer(target.index if own else UPSTREAM_INDEX, project, page) if whole else {}
    return [
        *(Loaded(file, REFUSED, problem) for file, problem in damaged.items()),
        *(_bring(file, states[file.filename], folder, target) for file in whole),
    ]


def _bring(file: File, known: Mapping[str, Any], folder: Path, target: "Target") -> Loaded:
    """Bring one file that the mirror has not; take over its yank, on the index that is loaded into alone."""
    index = known.get("index", UPSTREAM_INDEX)
    outcome = Loaded(file, known["state"], known["reason"], index)
    path = folder / FILES / file.filename
    if outcome.state == NEW:
        refused = target.upload(path, index) if file.own else target.store(path, file)
        outcome = Loaded(file, REFUSED, refused, index) if refused else outcome
    if file.own and outcome.state != REFUSED and (problem := target.store_provenance(folder, file, index)):
        outcome = Loaded(file, REFUSED, f"the file is on {index}, but {problem}", index)
    is_on_target = file.own and outcome.state != REFUSED and index == target.index
    if is_on_target and file.yanked and not known.get("yanked"):
        reason = file.yanked if isinstance(file.yanked, str) else None
        yank.yank(target.api, index, f"{file.project}=={file.version}", reason)
    return outcome


class Target:
    """The running mirror, and its index for own packages."""

    def __init__(self, folder: Folder, index: str, accepted: Iterable[str] = ()) -> None:
        """`accepted`: names of files that may take the place of cached ones with another content.

        Raises PackhorseError when no mirror runs, or has no such index.
        """
        found = running.find(folder)
        self.api = api.HttpApi(found.url, found.root)
        self.index = index
        self.accepted = frozenset(accepted)
        self._url = found.url
        self._passwords = found.passwords
        self._client = api.client(timeout=SILENCE, auth=("root", found.root))
        settings = self.api.call("GET", f"/{index}?no_projects=")
        self.takes_uploads = settings["type"] != "mirror"
        self._uploaders = settings.get("acl_upload", [])

    def offer(self, index: str, project: str, page: Mapping[str, Any]) -> Mapping[str, Any]:
        """The mirror's answer about each file of a page: its state and the reason."""
        accepted = [file["filename"] for file in page["files"] if file["filename"] in self.accepted]
        query = urlencode([("accept-changed", name) for name in accepted])
        answer = self._put(f"/{index}/+bundle/{project}?{query}", json.dumps(page).encode())
        if answer.status_code != 200:
            raise PackhorseError(
                f"The mirror does not take the page of {project}: {_reason(answer)}",
                "The server's log tells more. What was loaded stays: run the command again.",
            )
        found: Mapping[str, Any] = answer.json()["result"]
        return found

    def store(self, path: Path, file: File) -> str:
        """Bring the content of a file to the cache; why it is refused, or ""."""
        with path.open("rb") as content:
            answer = self._put(f"/{UPSTREAM_INDEX}/+bundle/{file.project}/{quote(file.filename)}", content)
        return "" if answer.status_code == 200 else _reason(answer)

    def store_provenance(self, folder: Path, file: File, index: str = UPSTREAM_INDEX) -> str:
        """Bring the provenance of a file, if it has one; why it is refused, or ""."""
        if file.provenance is None:
            return ""
        path = f"/{index}/+bundle/{file.project}/{quote(file.filename)}/provenance?sha256={file.sha256}"
        with (folder / listing.provenance_path(file.provenance)).open("rb") as content:
            answer = self._put(path, content)
        return "" if answer.status_code == 200 else _reason(answer)

    def upload(self, path: Path, index: str) -> str:
        """Upload a file of our own with twine, as one who may; why it is refused, or ""."""
        everybody = {":ANONYMOUS:", ":AUTHENTICATED:"} & set(self._uploaders)
        users = [name for name in self._passwords if name in self._uploaders or everybody]
        if not users:
            return f"mirror/credentials.json has no password of one who may upload to {index}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TWINE_")}
        login = {"TWINE_USERNAME": users[0], "TWINE_PASSWORD": self._passwords[users[0]]}
        plain = {"COLUMNS": "1000", "NO_COLOR": "1", "TERM": "dumb"}
        options = ["--non-interactive", "--disable-progress-bar", "--repository-url", f"{self._url}/{index}/"]
        command = [sys.executable, "-Im", "twine", "upload", *options, str(path)]
        done = process.run(command, env={**kept, **plain, **login})
        return "" if done.status == 0 else (done.output.splitlines() or ["twine says nothing"])[-1].strip()

    def _put(self, path: str, content: bytes | BinaryIO) -> httpx.Response:
        try:
            return self._client.put(self._url + path, content=content)
        except httpx.HTTPError as error:
            raise PackhorseError(
                f"No answer from the mirror at {self._url}: {error}",
                "Run `mirror status`. What was loaded stays: run the command again.",
            ) from error


def _reason(answer: httpx.Response) -> str:
    if answer.status_code == 413:
        return "it is larger than max_upload in mirror.toml"
    is_json = answer.headers.get("Content-Type", "").startswith("application/json")
    return (
        str(answer.json().get("message")) if is_json else f"{answer.status_code} {answer.text.strip()[:200]}"
    )
