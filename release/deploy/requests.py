"""Build the requests that agents get: a version and a target in, one JSON object out."""

import getpass
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

from packhorse.errors import PackhorseError
from release import index
from release.config import release_toml, targets
from release.deploy import controller, schedule, ssh

PROTOCOL = 2
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
    if not matched:
        raise PackhorseError(f'"{text}" is not one version of a project.', hint)
    try:
        version = Version(matched["version"]) if matched["version"] else None
    except InvalidVersion as error:
        raise PackhorseError(f'"{text}" names no version: {error}', hint) from error
    return Requirement(canonicalize_name(matched["name"]), version)


def artifact(files: Iterable[index.File], wanted: Requirement, where: str) -> dict[str, Any]:
    """The part of the request that names the artifact: the wanted version's files on index `where`.

    Without a version the newest is taken that is neither withdrawn nor a pre-release, as pip does.
    """
    found: dict[Version, list[index.File]] = {}
    for file in files:
        version = _version(file.filename)
        if version and file.sha256:  # a host installs nothing that it cannot verify
            found.setdefault(version, []).append(file)
    kept = [version for version, versions in found.items() if not all(file.yanked for file in versions)]
    newest = max([version for version in kept if not version.is_prerelease] or kept, default=None)
    version = wanted.version or newest
    if version not in found:
        known = ", ".join(map(str, sorted(found, reverse=True)[:5])) or "no version at all"
        what = f"{wanted.project}=={version}" if version else wanted.project
        raise PackhorseError(
            f"{where} has no {what}; it has {known}.", "Upload it: release build, then release upload"
        )
    chosen = [{"filename": f.filename, "url": f.url, "sha256": f.sha256} for f in found[version]]
    return {"project": wanted.project, "version": str(version), "files": chosen}


def _version(filename: str) -> Version | None:
    """The version in a file name; None for what is neither a wheel nor an sdist."""
    try:
        if filename.endswith(".whl"):
            return parse_wheel_filename(filename)[1]
        return parse_sdist_filename(filename)[1]
    except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion):
        return None


def request(command: str, app: str, target: targets.Target, home: Path, **more: object) -> dict[str, Any]:
    """What every request to an agent of `target` holds, and `more`."""
    root, run = (ssh.ROOT, ssh.RUN) if target.hosts else (str(home / "apps"), str(home / "run"))
    return {
        "protocol": PROTOCOL,
        "command": command,
        "app": app,
        "root": root,
        "run": run,
        "supervised": bool(target.hosts),
        "silence": controller.SILENCE,
        "by": f"{getpass.getuser()}@{socket.gethostname()}",
        **more,
    }


@dataclass(frozen=True)
class Options:
    """How a deploy or a rollback is to be done: `wait` is for others to end, in seconds.

    With `plan` nothing is done, and what would be is said; `retry_release` runs a release phase again that
    ended nobody knows how.
    """

    plan: bool = False
    wait: float = 0.0
    retry_release: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The part of the request that says so."""
        return {
            "plan": self.plan,
            "lock_wait": self.wait,
            "retry_release": self.retry_release,
            "gates": [] if self.plan else schedule.GATES,
        }


def deploy_request(
    settings: release_toml.ReleaseConfig,
    target: targets.Target,
    found: dict[str, Any],
    index_url: str,
    home: Path,
) -> dict[str, Any]:
    """The request that deploys artifact `found`. Values of the configuration travel only in here."""
    address = target.address
    return request(
        "deploy",
        settings.app,
        target,
        home,
        index_url=release_toml.simple_url(index_url),
        artifact=found,
        installer=target.installer,
        bind={"host": address[0], "port": address[1]} if address else None,
        health=_health(settings, target),
        env=target.env,
        graceful_timeout=target.graceful_timeout,
        processes=_processes(target),
        keep=target.keep,
    )


def _health(settings: release_toml.ReleaseConfig, target: targets.Target) -> dict[str, Any]:
    """The probe, with the Host header of real requests: frameworks refuse names that they do not know."""
    told = settings.health.model_dump()
    if target.domains and "host" not in settings.health.model_fields_set:
        told["host"] = target.domains[0]
    return told


def _processes(target: targets.Target) -> dict[str, dict[str, Any]]:
    return {
        name: {"overlap": process.overlap, "stop_timeout": process.stop_timeout or target.graceful_timeout}
        for name, process in target.processes.items()
    }


def with_release_phase(request: dict[str, Any], hosts: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Host -> its request: the release phase (`release:` in the Procfile) runs once, on the first."""
    return {host: {**request, "release_phase": not position} for position, host in enumerate(hosts)}
