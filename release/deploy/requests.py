"""Make the requests to agents from settings, a target and a version on the index."""

import getpass
import os
import re
import secrets
import socket
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from packhorse import filenames
from packhorse.errors import PackhorseError
from release import index
from release.agents import controller, schedule
from release.config.release_toml import ReleaseConfig
from release.config.target.processes import JobSettings
from release.config.target.target import Target
from release.host.disk import layout
from release.host.disk.manifest import Content, File, Health, Job, ReplacementRule
from release.host.formats import schedule as times
from release.host.request import Change, Check, Request

R = TypeVar("R", bound=Request)
C = TypeVar("C", bound=Change)
# Of requirements (PEP 508) the one form that names a single version.
_WANTED = re.compile(
    r"\s*(?P<name>[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(==\s*(?P<version>[^\s,;]+))?\s*"
)


@dataclass(frozen=True)
class Requirement:
    """A project and one version of it; None: the newest."""

    project: str
    version: Version | None


def parse(text: str) -> Requirement:
    """`NAME` or `NAME==VERSION`. Raises PackhorseError for anything else."""
    hint = "Write it as NAME==VERSION, such as sample-app==0.1.0"
    matched = _WANTED.fullmatch(text)
    if not matched or re.fullmatch(r"\d+(\.\d+)+\S*", text):  # a version alone; as a name nobody means it
        raise PackhorseError(f'"{text}" is not one version of a project.', hint)
    try:
        version = Version(matched["version"]) if matched["version"] else None
    except InvalidVersion as error:
        raise PackhorseError(f'"{text}" names no version: {error}', hint) from error
    return Requirement(canonicalize_name(matched["name"]), version)


@dataclass(frozen=True)
class Artifact:
    """One version of a project: its wheels and sdist, and the company index on which they lie.

    `yanked`: its owner took it back (PEP 592); it is deployed because somebody named it.
    """

    project: str
    version: str
    files: list[File]
    index: str | None = None
    yanked: bool = False


def artifact(files: Iterable[index.ListedFile], requirement: Requirement, where: str) -> Artifact:
    """The version of `requirement` among all `files` of the project that index `where` shows.

    Only the company's own count: under a name that is free on an upstream, anybody may upload there. Without
    a version the newest is taken that is neither withdrawn nor a pre-release, as pip does.
    """
    listed = list(files)
    found = versions((file for file in listed if file.company), requirement.project)
    foreign = versions((file for file in listed if not file.company), requirement.project)
    version = requirement.version or newest(found)
    if version not in found:
        raise _missing(requirement, where, found, foreign)
    indexes = sorted({str(file.index) for file in found[version]})
    if len(indexes) > 1:
        raise PackhorseError(
            f"Some files of {requirement.project} {version} lie on {indexes[0]}, others on {indexes[1]}.",
            "Who may upload to one could change what the other has: deploy from one of them, by --index",
        )
    for file in found[version]:
        if file.differs:  # who may upload to one could replace what was promoted to the other
            raise PackhorseError(
                f"{file.filename} is not the same file on {file.index} and on {file.differs}.",
                f"Find out who uploaded it; deploy the one that is right with --index {file.differs}",
            )
    chosen = [File(requirement.project, f.filename, f.sha256, f.url) for f in found[version] if f.sha256]
    yanked = any(file.yanked for file in found[version])
    return Artifact(requirement.project, str(version), chosen, indexes[0], yanked)


def versions(files: Iterable[index.ListedFile], project: str) -> dict[Version, list[index.ListedFile]]:
    """Version of `project` -> its files, as far as they have a hash: nothing is installed unverified."""
    found: dict[Version, list[index.ListedFile]] = {}
    for file in files:
        version = _version(file.filename, project)
        if version and file.sha256:
            found.setdefault(version, []).append(file)
    return found


def newest(found: Mapping[Version, Collection[index.ListedFile]]) -> Version | None:
    """The newest version that is not withdrawn, and no pre-release if there is another: as pip does."""
    unyanked = [version for version, files in found.items() if not all(file.yanked for file in files)]
    return max([version for version in unyanked if not version.is_prerelease] or unyanked, default=None)


def _missing(
    requirement: Requirement, where: str, found: Collection[Version], foreign: Collection[Version]
) -> PackhorseError:
    """The error for a version that is not among the company's, `found`; `foreign`: those of an upstream."""
    wanted = f"{requirement.project}=={requirement.version}" if requirement.version else requirement.project
    if foreign and (requirement.version in foreign or not (found or requirement.version)):
        return PackhorseError(
            f"{where} shows {wanted} of an upstream only: anybody may have made it, so it is not deployed.",
            "Upload yours: release build, then release upload; or name the index that has it: --index URL",
        )
    known = ", ".join(map(str, sorted(found, reverse=True)[:5])) or "no version at all"
    return PackhorseError(
        f"{where} has no {wanted}; it has {known}.", "Upload it: release build, then release upload"
    )


def _version(filename: str, project: str) -> Version | None:
    """The version in a file name; None for what is neither a wheel nor an sdist of `project`."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+!-]*", filename):  # it becomes a path on the hosts
        return None
    found = filenames.parse(filename)
    return found.version if found and found.project == project else None


def request(kind: type[R], app: str, target: Target, home: Path, **fields: object) -> R:
    """A request of `kind`, with its `fields`, about application `app` on `target`; `home`: PACKHORSE_HOME."""
    on_servers = bool(target.hosts)
    head: dict[str, Any] = {
        "app": app,
        "root": str(layout.SERVER_ROOT if on_servers else home / "apps"),
        "run": str(layout.SERVER_RUN if on_servers else home / "run"),
        "supervised": on_servers,
        "by": _who(),
        "silence": controller.SILENCE,
    }
    return kind(**{**head, **fields})


def _who() -> str:
    """Name for the journal: $RELEASE_BY, where a job of CI names its author, else user and host."""
    named = " ".join(os.environ.get("RELEASE_BY", "").split())[:200]
    if named:
        return named
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # containers run as users that have no name
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def change(kind: type[C], app: str, target: Target, home: Path, **fields: object) -> C:
    """The request of a deploy or a rollback, with a key for the digests of this one command."""
    gates = schedule.BALANCED_GATES if target.balancer else schedule.GATES
    gates = schedule.PLAN_GATES if fields.get("plan") else gates
    checks = {
        name: Check(process.check_uptime, process.check_command or [], process.check_timeout)
        for name, process in target.processes.items()
    }
    own = {"gates": gates, "keep": target.keep, "key": secrets.token_hex(), "checks": checks}
    return request(kind, app, target, home, **own, **fields)


def content(
    settings: ReleaseConfig,
    target: Target,
    artifact: Artifact,
    brought: Mapping[str, str],
    defaults: Mapping[str, str] | None = None,
) -> Content:
    """Content of a deploy of `artifact`, with the secrets that are `brought` from files and commands.

    `defaults`: variables that are set unless something else sets them.

    Values of the configuration travel only in here: it does not show them, and `Target` holds none.
    """
    health = settings.health.model_dump()
    if target.domains and "host" not in settings.health.model_fields_set:
        health["host"] = target.domains[0]  # as real requests name it: frameworks refuse unknown names
    return Content(
        project=artifact.project,
        version=artifact.version,
        files=artifact.files,
        installer=target.installer,
        health=Health(**health),
        graceful_timeout=target.graceful_timeout,
        rules={
            name: ReplacementRule(process.overlap, target.stop_timeout(process))
            for name, process in target.processes.items()
        },
        env={**(defaults or {}), **target.env, **brought},
        index=artifact.index,
        required=settings.required,
        python=target.python or settings.python,
        static=settings.static.folder if settings.static else None,
        jobs=[_job(job) for job in target.jobs],
    )


def _job(settings: JobSettings) -> Job:
    return Job(
        settings.name,
        settings.schedule,
        times.calendars(settings.schedule),
        settings.command,
        overlap=settings.overlap == "allow",
        timeout=settings.timeout,
    )


def with_release_phase(change: C, hosts: Iterable[str], first: str | None) -> dict[str, C]:
    """Host -> its request: the release phase (`release:` in the Procfile) runs once, on the first of `hosts`.

    Jobs run on `first`, which is that of the target; None: on no host.
    """
    return {
        host: replace(change, release_phase=not position, runs_jobs=host == first)
        for position, host in enumerate(hosts)
    }
